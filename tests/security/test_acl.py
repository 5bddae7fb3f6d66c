"""The declared rights: what they leave to whom, and faults of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream import acl
from stream.errors import InvalidData
from stream.settings import Settings

RIGHTS = acl.declared(Settings())
TEXTS = {"certificates", "manual", "dead-letters"}


def topics(role: str, operation: str) -> set[str]:
    """Topics on which a role may do something."""
    return {
        r.name
        for r in RIGHTS
        if r.principal == f"User:causa-{role}" and r.kind == "TOPIC" and not r.prefixed and r.operation == operation
    }


def test_each_role_has_what_it_needs_and_no_more() -> None:
    assert {r.principal.removeprefix("User:causa-") for r in RIGHTS} == {
        "producer", "worker", "surveillance", "quality", "desk", "replay", "recode", "repair", "trace", "operator"
    }  # fmt: skip
    assert not topics("surveillance", "READ") & TEXTS and not topics("quality", "READ") & TEXTS
    assert not topics("operator", "READ") & TEXTS and not topics("producer", "READ")
    assert topics("desk", "WRITE") == {"corrections"} and topics("desk", "READ") & TEXTS == {"manual"}
    assert topics("worker", "WRITE") == {"coded", "manual", "dead-letters"} and topics("producer", "WRITE") == {
        "certificates"
    }
    assert not topics("replay", "WRITE") and not topics("trace", "WRITE")
    assert topics("recode", "WRITE") == {"coded", "manual"} and topics("repair", "WRITE") == {"certificates"}
    assert topics("worker", "READ") == {"certificates", "corrections", "automation", "coded", "dead-letters"}
    for role in ("replay", "desk", "surveillance"):
        groups = [r for r in RIGHTS if r.principal == f"User:causa-{role}" and r.kind == "GROUP"]
        assert all(r.prefixed and r.name.startswith("causa-") and not "causa".startswith(r.name) for r in groups)


def test_names_follow_the_settings() -> None:
    settings = Settings()
    settings.worker.group = "other"
    settings.kafka.topics.coded = "results"
    rights = acl.declared(settings)
    assert acl.Right("User:causa-worker", "GROUP", "other", False, "READ") in rights
    assert acl.Right("User:causa-worker", "TRANSACTIONAL_ID", "other-", True, "WRITE") in rights
    assert acl.Right("User:causa-surveillance", "TOPIC", "results", False, "READ") in rights
    assert not [right for right in rights if right.name == "coded"]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("worker\ttopic\tcoded", "not four cells"),
        ("worker\ttopic\t\tREAD", "not four cells"),
        ("worker\tqueue\tcoded\tREAD", "queue is no resource"),
        ("worker\ttopic\tcodes\tREAD", "codes is no topic"),
        ("worker\ttopic\tcoded\tREAD LIE", "LIE is no operation"),
    ],
)
def test_faults_name_the_line(tmp_path: Path, row: str, fault: str) -> None:
    file = tmp_path / "acl.tsv"
    file.write_text(f"# who\nrole\tresource\tname\toperations\nworker\ttopic\tcoded\tREAD\n{row}\n")
    with pytest.raises(InvalidData, match=rf"acl\.tsv:4: .*{fault}"):
        acl.declared(Settings(), file)
