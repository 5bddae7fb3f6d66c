"""What is installed is pinned by hash, and known to be without known holes, where the database of holes is reached."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from stream.settings import REPOSITORY

LOCKS = [*sorted(REPOSITORY.glob("requirements*.lock")), REPOSITORY / "stream" / "embedded" / "triton-requirements.txt"]
AUDIT = REPOSITORY / ".venv" / "audit" / "bin" / "pip-audit"


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.suffix == ".lock"], ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_by_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^ *#.*\n?", "", lock.read_text(encoding="utf-8")).strip())
    assert len(entries) > 30
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==[^\s;]+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_requirement_has_a_known_hole(lock: Path) -> None:
    if not os.environ.get("CAUSA_AUDIT"):
        pytest.skip("it asks the network for half a minute: `make audit` installs pip-audit, and runs this")
    command = [str(AUDIT), "-r", str(lock), "--format", "json", "--progress-spinner", "off", "--disable-pip"]
    if lock.suffix != ".lock":
        command += ["--no-deps"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    if not done.stdout.strip():
        pytest.skip(f"the database of holes is not reached: {done.stderr.strip().splitlines()[-1][:200]}")
    found = json.loads(done.stdout)["dependencies"]
    told = [one for one in found if "vulns" in one]
    if not told:
        pytest.skip("the database of holes knows none of the packages: it is not reached from here")
    holes = [f"{one['name']} {one['version']}: {hole['id']}" for one in told for hole in one["vulns"]]
    assert not holes
