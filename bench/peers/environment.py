"""The peers, and the environments that they run in: their own packages first, then Causa's, so that no pin meets ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.shells import Shell
from stream.embedded.install import once
from stream.errors import EmbeddedServerError
from stream.settings import REPOSITORY, Settings

INSTALL_S = 600.0
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """A framework and a way of using it.

    Attributes:
        key, what: its name in the results, and in words.
        package: names its list of packages and its program.
        environment: what its program is told.
        batches: whether it asks the models for many certificates at once.
    """

    key: str
    what: str
    package: str
    environment: Mapping[str, str] = field(default_factory=dict)
    batches: bool = True


PEERS = (
    Peer("faststream", "FastStream, batch subscriber, manual acknowledgement, at least once", "faststream"),
    Peer("quix", "Quix Streams, apply on each certificate, at least once", "quix", batches=False),
    Peer(
        "quix_exactly_once", "Quix Streams, apply on each certificate, exactly once", "quix",
        {"BENCH_GUARANTEE": "exactly-once"}, batches=False,
    ),
    Peer("quix_sink", "Quix Streams, batching sink, at least once", "quix", {"BENCH_SINK": "1"}),
    Peer("bytewax", "Bytewax, flat_map_batch, at least once", "bytewax"),
)  # fmt: skip


def shell(peer: Peer, settings: Settings, environment: Mapping[str, str]) -> Shell:
    """The peer as a shell, installed if need be.

    Args:
        peer: which.
        settings: where its environment goes.
        environment: settings of Causa, as the worker gets them.

    Raises:
        EmbeddedServerError: its packages cannot be installed.
    """
    python = installed(peer.package, settings)
    command = (str(python), "-m", f"bench.peers.{peer.package}_app")
    return Shell(command, {**environment, **peer.environment}, process=peer.key, pages=False)


def installed(package: str, settings: Settings) -> Path:
    """The Python of a peer's environment, made once for each list of packages.

    Raises:
        EmbeddedServerError: the packages cannot be installed.
    """
    listed = _HERE / f"{package}.txt"
    folder = settings.root / "bench" / "venv" / package
    stamp = f"{listed.read_text(encoding='utf-8')} {sys.version} {REPOSITORY}"
    once(folder, stamp, lambda made: _build(made, listed))
    return folder / "bin" / "python"


def _build(folder: Path, listed: Path) -> None:
    python = folder / "bin" / "python"
    beside = Path(sys.prefix) / "uv" / "bin" / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(listed))
    else:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(listed))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # A .pth file's folders come last on the path: what the peer has itself is not taken from Causa.
    ours = f"{sysconfig.get_path('purelib')}\n{REPOSITORY}\n"
    (folder / "lib" / version / "site-packages" / "causa-bench.pth").write_text(ours, encoding="utf-8")


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedServerError(f"a peer's packages cannot be installed: {type(error).__name__}") from None
    if done.returncode:
        last = next(
            (row for row in reversed((done.stdout + done.stderr).splitlines()) if row.strip()), "no reason given"
        )
        raise EmbeddedServerError(
            f"a peer's packages cannot be installed: {last[:200]}", hint="it needs the network once"
        )
