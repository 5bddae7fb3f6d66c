"""Places where a test may have this process die, stop or wait: off unless the environment names them.

``CAUSA_FAILPOINT=after-inference:kill:3`` kills the process (SIGKILL, as a machine that loses power) when the point is
reached for the third time; ``pause`` stops it instead (SIGSTOP) and ``raise`` raises an error there; with
``CAUSA_FAILPOINT_ONCE=FILE`` only the first process that comes to it does, which leaves the file as its mark.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from stream.errors import InvalidSettings

POINTS = (
    "after-decode", "after-inference", "mid-produce", "before-offsets", "after-offsets", "after-commit",
)  # fmt: skip
ACTIONS = ("kill", "pause", "raise")


class FailPoint(RuntimeError):
    """Raised by the action `raise`."""


def _read(variable: str) -> tuple[str, str, int] | None:
    if not variable:
        return None
    name, _, rest = variable.partition(":")
    action, _, number = rest.partition(":")
    number = number or "1"
    if name not in POINTS or action not in ACTIONS or not number.isdigit():
        raise InvalidSettings(f"CAUSA_FAILPOINT {variable}", hint="POINT:kill|pause|raise:N")
    return name, action, int(number)


_armed = _read(os.environ.get("CAUSA_FAILPOINT", ""))
_once = os.environ.get("CAUSA_FAILPOINT_ONCE", "")
_reached = 0


async def reach(point: str) -> None:
    """Pass a point; nothing happens unless it is the one named, for the time that was named."""
    global _reached  # noqa: PLW0603 - the count of one process
    if _armed is None or _armed[0] != point:
        return
    _reached += 1
    if _reached != _armed[2]:
        return
    if _once:
        try:
            Path(_once).touch(exist_ok=False)  # noqa: ASYNC240 - one small file, in a test
        except FileExistsError:
            return
    if _armed[1] == "raise":
        raise FailPoint(point)
    os.kill(os.getpid(), signal.SIGKILL if _armed[1] == "kill" else signal.SIGSTOP)
