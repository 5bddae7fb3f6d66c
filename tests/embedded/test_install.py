from __future__ import annotations

import signal
import sysconfig
from pathlib import Path

import pytest

from stream.embedded import install, venv
from stream.embedded.lock import locked
from stream.embedded.triton import REQUIREMENTS, TritonServer
from stream.embedded.venv import Environment
from stream.errors import EmbeddedServerError
from stream.settings import Settings

from .conftest import Owner


def test_it_builds_once_for_each_stamp(tmp_path: Path) -> None:
    built = []

    def build(folder: Path) -> None:
        assert not list(folder.iterdir())
        (folder / "file").touch()
        built.append(folder)

    for stamp in ("1", "1", "2"):
        install.once(tmp_path / "dist", stamp, build)
    assert len(built) == 2


def test_an_install_broken_off_starts_over(tmp_path: Path) -> None:
    def break_off(folder: Path) -> None:
        (folder / "half").touch()
        raise EmbeddedServerError("no network")

    with pytest.raises(EmbeddedServerError, match="no network"):
        install.once(tmp_path / "dist", "1", break_off)
    install.once(tmp_path / "dist", "1", lambda folder: (folder / "whole").touch())
    assert sorted(file.name for file in (tmp_path / "dist").iterdir()) == ["installed", "whole"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match="home cannot be written") as failure:
        install.once(tmp_path / "file" / "dist", "1", lambda _: None)
    assert "CAUSA_HOME" in failure.value.hint


def test_the_cache_is_beside_the_data_unless_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSA_EMBEDDED_CACHE", "/somewhere")
    assert install.cache(settings) == Path("/somewhere")
    monkeypatch.delenv("CAUSA_EMBEDDED_CACHE")
    assert install.cache(settings) == settings.root


def test_a_lock_is_held_by_one_and_let_go_by_death(tmp_path: Path, owner: Owner) -> None:
    file = tmp_path / "lock"
    holder = owner(
        "import time\nfrom pathlib import Path\nfrom stream.embedded.lock import locked\n"
        f"with locked(Path({str(file)!r}), timeout_s=1, busy=''):\n    print('ready', flush=True); time.sleep(60)\n"
    )
    with pytest.raises(EmbeddedServerError, match="busy now"), locked(file, timeout_s=0.1, busy="busy now"):
        pass
    holder.send_signal(signal.SIGKILL)
    with locked(file, timeout_s=5, busy="still busy"):
        pass


def test_every_requirement_is_pinned() -> None:
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(line.count("==") == 1 for line in lines)


def test_a_python_without_shared_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: None)
    monkeypatch.setattr("sys.base_prefix", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match="has no shared library") as failure:
        Environment(tmp_path / "venv").build(REQUIREMENTS)
    assert "CAUSA_TRITON__URL" in failure.value.hint


def test_packages_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "_run", lambda *_: "ERROR: no matching distribution")
    with pytest.raises(EmbeddedServerError, match="cannot be installed: ERROR: no matching") as failure:
        Environment(tmp_path / "venv").build(REQUIREMENTS)
    assert "glibc" in failure.value.hint


def test_models_of_other_backends_are_left_to_other_servers(settings: Settings, models: Path, tmp_path: Path) -> None:
    triton = TritonServer(settings)
    triton._environment = Environment(tmp_path / "venv")
    (triton._environment.server / "backends" / "python").mkdir(parents=True)
    for name, config in {"gpu": 'backend: "onnxruntime"', "both": 'platform: "ensemble"'}.items():
        (models / name).mkdir()
        (models / name / "config.pbtxt").write_text(config)
    (models / "notes").mkdir()
    assert triton.models() == ["both", "echo"]


def test_a_repository_without_models(settings: Settings, tmp_path: Path) -> None:
    triton = TritonServer(settings, model_repo=tmp_path / "empty")
    triton._environment = Environment(tmp_path / "venv")
    (triton._environment.server / "backends" / "python").mkdir(parents=True)
    with pytest.raises(EmbeddedServerError, match="no model that Triton can run"):
        triton.models()
