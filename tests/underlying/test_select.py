"""What holds for every certificate, and what only some of the fields change."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.nomenclature import icd10
from stream.underlying import Causes, load, select
from stream.underlying.tables import read_tables

CODES = sorted(icd10.load())
codes = st.sampled_from(CODES)
certificates = st.builds(
    Causes,
    part1=st.lists(st.lists(codes, max_size=4).map(tuple), max_size=6).map(tuple),
    part2=st.lists(codes, max_size=5).map(tuple),
    sex=st.sampled_from("MFU"),
    age_days=st.none() | st.floats(0, 40_000),
    manner=st.sampled_from([None, "NATURAL", "ACCIDENT", "SUICIDE", "HOMICIDE", "WAR", "UNDETERMINED"]),
    durations=st.lists(st.none() | st.floats(0, 40_000), max_size=6).map(tuple),
    neonatal=st.booleans(),
    pregnancy=st.sampled_from([None, "AT_DEATH", "CONTRIBUTED", "WITHIN_1_YEAR", "OVER_1_YEAR_CONTRIBUTED", "?"]),
)


@settings(max_examples=400, deadline=None)
@given(certificates)
def test_every_certificate_with_a_code_has_an_answer(causes: Causes) -> None:
    answer = select(causes, load())
    if any(causes.part1) or causes.part2:
        assert answer.code is not None
        assert icd10.load().valid(answer.code), answer
        assert 0 < answer.confidence < 1
        assert answer.steps
        assert all(answer.code != other.code for other in answer.alternatives)
        assert answer.confidence + sum(other.confidence for other in answer.alternatives) <= 1.001
    else:
        assert answer.code == "R99"


@settings(max_examples=50, deadline=None)
@given(certificates)
def test_the_answer_does_not_depend_on_what_came_before(causes: Causes) -> None:
    assert select(causes, load()) == select(causes, read_tables())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.text(max_size=8), max_size=3).map(tuple), max_size=5).map(tuple))
def test_no_string_makes_it_fail(part1: tuple[tuple[str, ...], ...]) -> None:
    select(Causes(part1), load())


@settings(deadline=None)
@given(codes)
def test_an_only_code_stands_unless_it_is_an_injury(code: str) -> None:
    answer = select(Causes(((code,),)), load())
    unsuitable = {code.replace(".", ""), code[:3]} & set(load().unsuitable)
    assert answer.code == code or "S00" <= code < "U00" or unsuitable


def test_nothing_coded() -> None:
    answer = select(Causes(((), ("ZZ",))), load())
    assert answer.code == "R99"
    assert answer.steps == ("left out: 1 that are no ICD-10 codes", "no usable code → R99")
    # Words were read, and none understood: that is for a person to see, not an unknown cause.
    answer = select(Causes(((), ()), from_text=True), load())
    assert (answer.code, answer.confidence, answer.steps) == (None, 0.0, ("no usable code",))


def test_a_cause_that_began_later_is_no_cause() -> None:
    part1 = (("I50.9",), ("I42.0",))
    assert select(Causes(part1, durations=(2.0, 3000.0)), load()).steps[0].startswith("SP3")
    assert select(Causes(part1, durations=(3000.0, 2.0)), load()).steps[0].startswith("SP5")


def test_manner_speaks_when_no_external_cause_is_written() -> None:
    injury = (("S06.9",),)
    assert select(Causes(injury, manner="SUICIDE"), load()).code == "X84"
    assert select(Causes(injury, manner="HOMICIDE"), load()).code == "Y09"
    assert select(Causes(injury, manner="UNDETERMINED"), load()).code == "Y34"
    assert select(Causes((("T42.4",),), manner="SUICIDE"), load()).code == "X61"
    assert select(Causes((("T42.4",),), manner="ACCIDENT"), load()).code == "X41"


def test_neonatal_form() -> None:
    def code(*part1: tuple[str, ...]) -> str | None:
        return select(Causes(part1, neonatal=True), load()).code

    assert code(("P22.0",), ("P07.1",), ("P01.0",)) == "P01.0"
    assert code(("P36.9",), ("P77",), ("P07.2",)) == "P77"
    assert code(("P07.1",), ("P77",)) == "P77"
    assert code((), (), ("P02.1",)) == "P02.1"
    assert code(("P07.1",)) == "P07.1"


def test_newer_and_more_precise_codes_than_the_tables() -> None:
    assert select(Causes((("I64",), ("I48.2",))), load()).steps[0].startswith("SP3")
    assert select(Causes((("N18.4",), ("E11.9",))), load()).code == "E11.2"
