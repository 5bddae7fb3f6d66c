from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.desk import reasons
from stream.errors import InvalidData


def test_the_packaged_reasons() -> None:
    found = reasons.load()
    assert found.offers("changes", "TERM_MISSED")
    assert not found.offers("changes", "ACCEPTED"), "the desk's own are not chosen"
    assert not found.offers("changes", "LATER")
    assert found.label("LATER", "fr") == "Plus tard"
    assert found.label("LATER", "en") == "Later"
    assert found.label("GONE_SINCE", "fr") == "GONE_SINCE"
    assert all(found.label(code, "fr") != code for code in reasons.OWN)


def table() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(reasons.TABLE.read_text(encoding="utf-8"))
    return found


def spoilt(changes: dict[str, Any]) -> str:
    return yaml.safe_dump({**table(), **changes})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "no YAML"),
        (spoilt({"changes": []}), "changes"),
        (spoilt({"changes": [{"code": "A_B", "fr": "x", "en": "y"}] * 2}), "told twice"),
        (spoilt({"changes": [{"code": "BLIND", "fr": "x", "en": "y"}]}), "the desk's own"),
        (spoilt({"changes": [{"code": "lower", "fr": "x", "en": "y"}]}), "changes.0.code"),
        (spoilt({"own": [{"code": "BLIND", "fr": "x", "en": "y"}]}), "no words for ACCEPTED"),
        (spoilt({"more": []}), "more"),
    ],
)
def test_a_file_at_fault_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "reasons.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidData, match=r"reasons\.yaml") as failure:
        reasons.load(path)
    assert told in failure.value.message


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="cannot be read"):
        reasons.load(tmp_path / "none.yaml")


def test_what_is_old_keeps_its_words(tmp_path: Path) -> None:
    path = tmp_path / "reasons.yaml"
    changed = table()
    changed["skips"][0]["old"] = True
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    found = reasons.load(path)
    assert not found.offers("skips", "LATER")
    assert found.label("LATER", "en") == "Later"
