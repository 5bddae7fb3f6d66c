"""Where answers go: a file is replaced as a whole or not at all, and by nothing less able than itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stream.cli.output import opened
from stream.errors import InvalidSettings


def test_the_file_stands_only_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with opened(str(path), "-") as out:
        out.write("é\n")
        assert not path.exists()
    assert path.read_bytes() == "é\n".encode() and [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old\n"])
def test_a_failure_changes_nothing(tmp_path: Path, fault: type[BaseException], old: str | None) -> None:
    path = tmp_path / "out"
    if old:
        path.write_text(old, encoding="utf-8")
    with pytest.raises(fault), opened(str(path), "-") as out:
        out.write("half")
        raise fault
    found = {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()}
    assert found == ({"out": old} if old else {})


def test_rights_and_links_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o600)
    link.symlink_to("target")
    with opened(str(link), "-") as out:
        out.write("new")
    assert link.is_symlink() and target.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_device_is_written_in_place() -> None:
    with opened(os.devnull, "-") as out:
        out.write("x")
    assert Path(os.devnull).is_char_device()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o400)
    with pytest.raises(InvalidSettings, match="cannot be written"), opened(str(path), "-"):
        pass
    assert path.read_text(encoding="utf-8") == "old"


def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InvalidSettings, match="cannot be written"), opened(str(tmp_path / "loop"), "-"):
        pass
