from __future__ import annotations

import ast
import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydantic
import pytest
import structlog

import stream
from stream import log
from stream.errors import BadAvro

SECRET = "infarctus mésentérique"


@pytest.fixture(params=["json", "console"])
def logged(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the log has written; the logging of the tests is put back afterwards."""
    root, out = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    hooks = threading.excepthook, sys.excepthook, sys.unraisablehook, warnings.showwarning
    log.configure("debug", request.param)
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    threading.excepthook, sys.excepthook, sys.unraisablehook, warnings.showwarning = hooks
    structlog.reset_defaults()


class Speaking:
    """An object that shows a certificate when asked for itself."""

    def __repr__(self) -> str:
        return SECRET


def fail() -> None:
    text = [SECRET]  # a traceback with locals would show it
    assert text
    raise ValueError(f"cannot code {SECRET}")


def secret_fault() -> Exception:
    try:
        fail()
    except ValueError as cause:
        fault = BadAvro(SECRET)
        fault.__cause__ = cause
        return fault
    raise AssertionError


def say_everything() -> None:
    own = structlog.get_logger("causa.test")
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(own, name)("a sentence", text=SECRET, line=[SECRET], certificate=Speaking(), exc=SECRET, count=3)
    own.bind(text=SECRET).info("bound")
    own.error("with a fault", exc_info=secret_fault())
    own.warning("with a stack", stack_info=True, text=SECRET)
    try:
        fail()
    except ValueError:
        own.exception("in a handler", code="X")
    foreign = logging.getLogger("foreign.library")
    foreign.warning("payload %s and %r", SECRET, Speaking())
    foreign.warning("payload %(value)s", {"value": SECRET})
    foreign.error("failed: %s", secret_fault(), exc_info=secret_fault())
    foreign.error(secret_fault())
    foreign.error(Speaking())
    foreign.error({"event": SECRET, "text": SECRET})
    foreign.error("first line\nfuture: %s", SECRET)
    foreign.info("with a field", extra={"text": SECRET})
    try:
        fail()
    except ValueError:
        foreign.exception("in a handler")
        foreign.warning("with a stack", stack_info=True)


def test_no_word_of_a_certificate_comes_out(logged: io.StringIO) -> None:
    say_everything()
    said = logged.getvalue()
    assert not [word for word in SECRET.split() if word in said]
    assert "a sentence" in said
    assert "payload %s and %r" in said
    assert log.HIDDEN in said
    assert "ValueError" in said
    assert "test_log.py:" in said


def test_a_task_that_dies_unheard_is_told_without_its_message(logged: io.StringIO) -> None:
    async def die() -> None:
        raise ValueError(SECRET)

    async def forget() -> None:
        task = asyncio.create_task(die())
        await asyncio.sleep(0.01)
        del task
        gc.collect()

    asyncio.run(forget())
    assert "Task exception was never retrieved" in logged.getvalue()
    assert "infarctus" not in logged.getvalue()


def test_a_warning_is_told_by_its_kind_and_place(logged: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    class Model(pydantic.BaseModel):
        text: int = 0

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"on one line: {SECRET}", ResourceWarning, stacklevel=1)
        model = Model()
        vars(model)["text"] = SECRET
        model.model_dump()
    said = logged.getvalue()
    assert "infarctus" not in said + "".join(capsys.readouterr())
    assert said.count("a warning was given") == 2 and "ResourceWarning" in said and "UserWarning" in said
    assert "test_log.py:" in said


@pytest.mark.parametrize("logged", ["json"], indirect=True)
def test_json_lines(logged: io.StringIO) -> None:
    structlog.get_logger("causa.test").warning("held", code="X", text=SECRET, exc_info=secret_fault())
    logging.getLogger("foreign").warning("template %s", 3)
    own, foreign = (json.loads(line) for line in logged.getvalue().splitlines())
    assert own == {
        "event": "held", "code": "X", "text": log.HIDDEN, "level": "warning", "logger": "causa.test",
        "timestamp": own["timestamp"], "exception_type": "BadAvro", "exception_at": "",
    }  # fmt: skip
    assert foreign["event"] == "template %s"
    assert foreign["logger"] == "foreign"


def test_levels(logged: io.StringIO) -> None:
    log.configure("warning", "json")
    assert logging.getLogger().level == logging.WARNING
    for chatty in ("aiokafka", "faust", "mode"):
        assert logging.getLogger(chatty).getEffectiveLevel() >= logging.WARNING


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a module's `log` in the package."""
    folder = Path(stream.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        with warnings.catch_warnings():
            tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
            ):
                levels = ("debug", "info", "warning", "error", "critical", "exception")
                if node.func.value.id == "log" and node.func.attr in levels:
                    yield f"{file.relative_to(folder)}:{node.lineno}", node


def test_every_event_is_a_fixed_sentence_with_listed_fields() -> None:
    found = dict(calls())
    assert found
    for place, call in found.items():
        assert len(call.args) == 1, place
        assert isinstance(call.args[0], ast.Constant), place
        assert {k.arg for k in call.keywords} <= log.ALLOWED | {"exc_info"}, place
