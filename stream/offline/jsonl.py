"""JSON lines: one certificate a line, in the JSON form of `stream.certificate`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from stream.errors import InputError, InvalidCertificate
from stream.offline.lines import Line
from stream.offline.rows import Row, build
from stream.settings import Limits

DEEPEST = 64
"""Objects and lists within one another; a certificate has five. Deeper ones parse, and break what walks them later."""


class _RefusedError(ValueError):
    """JSON that says something twice or that no certificate holds; the message quotes nothing."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _RefusedError("a key stands twice in one object")
    return fields


def _no_constant(_: str) -> NoReturn:
    raise _RefusedError("NaN and Infinity are no values")


def _fields(line: Line) -> dict[str, Any]:
    """Raises: InputError."""
    text = line.text()
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        # Its own message would quote a character of the text.
        short = "" if line.whole else "; the last line may have been cut short"
        raise InvalidCertificate(f"not JSON at character {error.pos + 1}{short}") from None
    except _RefusedError as error:
        raise InvalidCertificate(str(error)) from None
    except (ValueError, RecursionError):
        raise InvalidCertificate("JSON with a number too long or objects too deep") from None
    if not isinstance(value, dict):
        raise InvalidCertificate("not a JSON object")
    if text.count("{") + text.count("[") > DEEPEST and _is_deep(value):
        raise InvalidCertificate("JSON with a number too long or objects too deep")
    if "\\u" in text and not is_unicode(value):
        raise InvalidCertificate("half of a surrogate pair, which is no character")
    return value


def _is_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def is_unicode(value: object) -> bool:
    """Whether UTF-8 can hold the strings of a JSON value: an escape may name half a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def rows(lines: Iterable[Line], limits: Limits) -> Iterator[Row]:
    """One row for each line that is not blank."""
    for line in lines:
        if not line.oversized and not line.data.strip():
            continue
        try:
            fields = _fields(line)
        except InputError as error:
            yield Row(line.number, None, error, end=line.end)
        else:
            yield build(line.number, fields, limits, end=line.end)
