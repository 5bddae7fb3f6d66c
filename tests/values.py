"""Generated values of the domain, for property tests."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import strategies as st

from stream.certificate import (
    Age,
    AgeUnit,
    Certificate,
    Form,
    Line,
    Manner,
    Neonatal,
    Place,
    PlaceKind,
    Residence,
    Sealed,
    Sex,
    Source,
    Status,
    Surgery,
)
from stream.coding import CodedCertificate, CodedStatus, Modality, Route, Targeting, Underlying, Versions

WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
CODES = st.text("0123456789AB", min_size=1, max_size=3)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
DATES = st.dates(date(1900, 1, 1), date(2100, 1, 1))

NAMES = st.none() | st.text("ABC19_", min_size=1, max_size=20)
SEALED = st.builds(Sealed, PRINTABLE, st.binary(min_size=12, max_size=12), st.binary(max_size=40))


def certificates(text: st.SearchStrategy[str | Sealed] = WORDS) -> st.SearchStrategy[Certificate]:
    """Valid certificates with every field in play; at least one line holds a word."""
    line = st.builds(Line, text, st.none() | text)
    lines = st.lists(line, max_size=4).map(tuple)
    return st.builds(
        Certificate,
        certificate_id=PRINTABLE,
        part1=lines.map(lambda found: (*found, Line("a"))),
        part2=lines,
        version=st.integers(1, 2**31 - 1),
        status=st.sampled_from(Status),
        parts=st.sampled_from([("INITIAL",), ("COMPLEMENTARY",), ("INITIAL", "COMPLEMENTARY")]),
        source=st.sampled_from(Source),
        form=st.sampled_from(Form),
        form_version=CODES,
        received_at=st.none() | MOMENTS,
        death_date=st.none() | DATES,
        birth_date=st.none() | DATES,
        sex=st.sampled_from(Sex),
        age=st.none() | st.builds(Age, st.integers(0, 200_000), st.sampled_from(AgeUnit)),
        place=st.builds(Place, st.none() | st.sampled_from(PlaceKind), st.none() | CODES, st.none() | CODES),
        residence=st.builds(Residence, st.none() | CODES, st.none() | CODES),
        manner=st.none() | st.sampled_from(Manner),
        pregnancy=NAMES,
        work_accident=st.none() | st.booleans(),
        accident_place=st.none() | text,
        autopsy=NAMES,
        surgery=st.none() | st.builds(Surgery, st.none() | st.booleans(), st.none() | text),
        neonatal=st.none()
        | st.builds(
            Neonatal,
            st.none() | st.integers(0, 10_000),
            st.none() | st.integers(0, 50),
            st.none() | st.booleans(),
            st.lists(text, max_size=2).map(tuple),
        ),
    )


def coded(certificate_id: st.SearchStrategy[str] = PRINTABLE) -> st.SearchStrategy[CodedCertificate]:
    """Coded records from a small space, so that ties and near ties are common."""
    return st.builds(
        CodedCertificate,
        certificate_id=certificate_id,
        version=st.integers(1, 3),
        content_hash=st.sampled_from(["", "a", "b"]),
        status=st.sampled_from(CodedStatus),
        modality=st.sampled_from(Modality),
        underlying=st.builds(Underlying, st.sampled_from([None, "I50.9", "C34.9"]), st.sampled_from([0.0, 0.5, 1.0])),
        targeting=st.builds(Targeting, st.sampled_from(Route)),
        versions=st.builds(Versions, coder=st.sampled_from(["coder-1", "coder-2"])),
        coded_at=st.sampled_from([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)]),
        revision=st.integers(0, 2),
    )
