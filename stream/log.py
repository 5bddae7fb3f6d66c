"""Logging that cannot leak a certificate: only listed fields pass, exceptions keep their type and place alone.

Every event is a fixed sentence with fields; a field that is not on the allow-list is replaced by a mark, whoever
logged it. Third-party records (Faust, aiokafka, gRPC) go through the same mill, cut to their template without
arguments, because arguments may hold a payload.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

ALLOWED = frozenset(
    [
        "event",
        "level",
        "logger",
        "timestamp",
        "error",
        "code",
        "stage",
        "topic",
        "partition",
        "offset",
        "expected",
        "partitions",
        "count",
        "lines",
        "batch",
        "seconds",
        "version",
        "model",
        "group",
        "instance",
        "attempt",
        "attempts",
        "wait_s",
        "pid",
        "port",
        "address",
        "state",
        "coded",
        "manual",
        "dead",
        "signal",
        "lag",
        "reason",
        "exception_type",
        "exception_at",
        "retry",
        "open",
        "scope",
        "service",
        "automation",
        "why",
        "who",
        "at",
    ]
)
HIDDEN = "[hidden]"


def _allow(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep listed fields; hide the values of all others."""
    return {key: value if key in ALLOWED else HIDDEN for key, value in event.items()}


def _bare_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception's type and the place it was raised at; its message may quote input, its locals certainly do."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else None
    if error is not None:
        event["exception_type"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        event["exception_at"] = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return event


class _Template(logging.Filter):
    """Cut a foreign record to its template: what it interpolates may be a payload.

    Only a template's first line stays: asyncio writes a dead task's exception, message and all, into the lines below.
    A message that is no string, such as an exception, is named by its type.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.args = ()
        record.msg = record.msg.partition("\n")[0] if isinstance(record.msg, str) else type(record.msg).__name__
        return True


def configure(level: str = "info", form: str = "auto") -> None:
    """Set structlog and the standard library's logging up for this process.

    Args:
        level: debug, info, warning or error.
        form: json, console, or auto (console on a terminal, json elsewhere).
    """
    # What nobody catches would be printed with its message: by a thread, by the interpreter, by a destructor.
    threading.excepthook = _thread_died
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    # So would a warning: pydantic's name the value that they warn of.
    warnings.showwarning = _warned
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _bare_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_ForeignOnly())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _allow, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # They tell each fetch, each heartbeat and each request at INFO.
    for chatty in ("aiokafka", "faust", "mode", "asyncio", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        structlog.get_logger("causa.thread").error("a thread died", exc_info=args.exc_value)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt) or os.environ.get("CAUSA_DEBUG"):
        sys.__excepthook__(kind, error, trace)
    else:
        structlog.get_logger("causa").critical("the process died", exc_info=error)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    structlog.get_logger("causa").warning("an exception was ignored", exc_info=args.exc_value)


def _warned(
    message: Warning | str,  # noqa: ARG001 - it may quote a record
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - the log is the only place for it
    line: str | None = None,  # noqa: ARG001 - a line of source
) -> None:
    at = f"{filename.rsplit('/', 1)[-1]}:{lineno}"
    structlog.get_logger("causa").warning("a warning was given", exception_type=category.__name__, exception_at=at)


class _ForeignOnly(_Template):
    """Leave our own records whole: structlog has put its event mapping into `msg`, and its logger beside it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return True if hasattr(record, "_logger") else super().filter(record)
