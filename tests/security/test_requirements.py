"""What is installed is pinned by hash, and without known holes, where somebody asks the database of holes and it answers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream.settings import REPOSITORY

LOCKS = [*sorted(REPOSITORY.glob("requirements*.lock")), REPOSITORY / "stream" / "embedded" / "triton-requirements.txt"]
DATABASE = "https://api.osv.dev/v1/querybatch"
"""Open Source Vulnerabilities (osv.dev): it holds PyPI's advisories too, and answers for a whole list at once."""
AT_ONCE = 1_000
KNOWN = ("jinja2", "2.4.1")
"""A package with holes that the database has known for ten years: an answer without them is no answer."""
ACCEPTED: Mapping[str, str] = {}
"""Holes that do not concern us, by their id, and why."""
PIN = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)")
Package = tuple[str, str]


def pinned(lock: Path) -> set[Package]:
    """Names and versions of a list."""
    return {(name.lower(), version) for name, version in PIN.findall(lock.read_text(encoding="utf-8"))}


def holes(asked: Sequence[Package], answer: Mapping[str, Any]) -> dict[Package, list[str]]:
    """Ids of the holes of each package that has any."""
    told = zip(asked, answer["results"], strict=True)
    return {package: ids for package, one in told if (ids := sorted(hole["id"] for hole in one.get("vulns", ())))}


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.suffix == ".lock"], ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_by_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^ *#.*\n?", "", lock.read_text(encoding="utf-8")).strip())
    assert len(entries) > 30
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==[^\s;]+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert len(pinned(lock)) == len(entries)


def test_an_answer_tells_the_holes_of_its_packages() -> None:
    answer = {"results": [{}, {"vulns": [{"id": "PYSEC-2"}, {"id": "GHSA-1"}]}]}
    assert holes([("a", "1"), ("b", "2")], answer) == {("b", "2"): ["GHSA-1", "PYSEC-2"]}


def test_no_requirement_has_a_known_hole() -> None:
    """A network that is away is no fault of ours; a hole is."""
    if not os.environ.get("CAUSA_AUDIT"):
        pytest.skip("it asks the network: `make audit`, or CAUSA_AUDIT=1")
    asked = [KNOWN, *sorted(set().union(*map(pinned, LOCKS)))]
    assert len(asked) <= AT_ONCE
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in asked]
    try:
        answer = httpx.post(DATABASE, json={"queries": queries}, timeout=httpx.Timeout(30.0, connect=5.0))
    except httpx.HTTPError as error:
        pytest.skip(f"the database of holes is not reached: {type(error).__name__}")
    assert answer.status_code != httpx.codes.BAD_REQUEST, answer.text[:200]
    if answer.status_code != httpx.codes.OK:
        pytest.skip(f"the database of holes is not reached: status {answer.status_code}")
    found = holes(asked, answer.json())
    if not found.pop(KNOWN, None):
        pytest.skip("the database of holes does not know an old one: it is not reached from here")
    assert not {package: left for package, ids in found.items() if (left := [i for i in ids if i not in ACCEPTED])}
