"""The virtual environment that tritonserver and its Python models run in, apart from Causa's own."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from stream.errors import EmbeddedServerError

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
INSTALL_S = 900.0
ELSEWHERE = "set CAUSA_TRITON__URL to a Triton of yours"


class Environment:
    """A virtual environment of this interpreter's version: Triton's stub must fit the Python that it loads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.site = folder / "lib" / f"python{MINOR}" / "site-packages"
        self.server = self.site / "pytriton" / "tritonserver"
        self.stub = self.server / "python_backend_stubs" / MINOR / "triton_python_backend_stub"

    def stamp(self, requirements: Path) -> str:
        """What an install depends on: the pins and the interpreter."""
        pins = hashlib.sha256(requirements.read_bytes()).hexdigest()
        return f"{pins} {sys.base_prefix} {platform.python_version()}"

    def variables(self) -> dict[str, str]:
        """Environment variables that tritonserver needs.

        Raises:
            EmbeddedServerError: this Python has no shared library for the stub to load.
        """
        libraries = [str(self.site / "nvidia_pytriton.libs"), str(shared_library().parent)]
        inherited = os.environ.get("LD_LIBRARY_PATH", "")
        return {
            "CAUSA_TRITON_SITE": str(self.site),
            "LD_LIBRARY_PATH": os.pathsep.join([*libraries, inherited] if inherited else libraries),
            # The stub takes the home of the first python3 on the path for its own, whatever library it was given:
            # another one there would bring the standard library of another build.
            "PATH": os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)]),
        }

    def build(self, requirements: Path) -> None:
        """Makes the environment in its empty folder and installs `requirements`, which must be complete.

        Raises:
            EmbeddedServerError: no such packages for this system, no network, or no shared library of Python.
        """
        if sys.platform != "linux":
            raise EmbeddedServerError("the embedded Triton runs on Linux only", hint=ELSEWHERE)
        shared_library()
        uv = _uv()
        # uv does not read pip's configuration (mirrors, certificates): where it fails, pip still may succeed.
        if not (uv and self._with_uv(uv, requirements)):
            self._with_pip(requirements)
        if not self.stub.exists():
            raise EmbeddedServerError(f"the Triton wheel has no stub for Python {MINOR}", hint=ELSEWHERE)

    def _with_uv(self, uv: str, requirements: Path) -> bool:
        python, files = str(self.python), ("-r", str(requirements))
        made = _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(self.folder))
        return made is None and (
            _run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--only-binary", ":all:", *files)
            is None
        )

    def _with_pip(self, requirements: Path) -> None:
        fault = _run(sys.executable, "-m", "venv", "--clear", str(self.folder)) or _run(
            str(self.python), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:",
            "-r", str(requirements),
        )  # fmt: skip
        if fault is not None:
            raise EmbeddedServerError(
                f"Triton's environment cannot be installed: {fault}",
                hint=f"it needs the package index and glibc 2.35 or newer; or {ELSEWHERE}",
            )


def shared_library() -> Path:
    """The libpython that the stub loads.

    Raises:
        EmbeddedServerError: this Python was built without one.
    """
    name = f"libpython{MINOR}.so.1.0"
    folders = [
        Path(sys.base_prefix) / "lib",
        *(Path(found) for key in ("LIBDIR", "LIBPL") if (found := sysconfig.get_config_var(key))),
    ]
    if triplet := sysconfig.get_config_var("MULTIARCH"):
        folders += [folder / triplet for folder in folders]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise EmbeddedServerError(
        f"this Python {MINOR} has no shared library ({name}), which Triton's stub loads",
        hint=f"install libpython{MINOR} or use a Python built with --enable-shared; or {ELSEWHERE}",
    )


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    if beside.exists():
        return str(beside)
    return shutil.which("uv")


def _run(*command: str) -> str | None:
    """Why the command failed, in one line; None when it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit status {done.returncode}"
