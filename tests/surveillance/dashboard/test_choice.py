from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import Sex, Source
from stream.errors import InvalidSettings
from stream.surveillance.counts import AGES, By, Known, load_places
from stream.surveillance.dashboard.choice import SPANS, Choice, read
from stream.surveillance.dashboard.rights import Rights
from stream.surveillance.detection.series import Step
from stream.surveillance.groups import load

GROUPS, PLACES = load(), load_places()
choices = st.builds(
    Choice, st.sampled_from(["all_causes", "influenza"]), st.sampled_from(["FR", "R-84", "33", "2A"]), st.sampled_from(By),
    st.none() | st.sampled_from(AGES), st.none() | st.sampled_from(Sex), st.none() | st.sampled_from(Source),
    st.sampled_from(Known), st.sampled_from(Step), st.none() | st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.sampled_from(SPANS), st.none() | st.just(date(2026, 1, 5)),
)  # fmt: skip


@given(choices)
def test_an_address_leads_back_to_its_choice(choice: Choice) -> None:
    from urllib.parse import parse_qsl, urlsplit

    address = urlsplit(choice.address("/groups/{group}"))
    given_ = dict(parse_qsl(address.query))
    assert read(given_, GROUPS, PLACES, address.path.rsplit("/", 1)[-1]) == choice
    given_ = dict(parse_qsl(urlsplit(choice.address("/map")).query))
    assert read(given_, GROUPS, PLACES) == choice


@given(choices)
def test_without_the_right_nothing_is_crossed_and_nothing_but_weeks_is_seen(choice: Choice) -> None:
    sunday = date(2026, 2, 8)
    kept = choice.within(Rights(small=False), sunday)
    assert not kept.crossed
    assert (kept.source, kept.status, kept.step, kept.as_of) == (None, Known.ALL, Step.WEEK, sunday)
    assert kept.within(Rights(small=False), sunday) == kept


@pytest.mark.parametrize(
    "given_",
    [{"group": "nobody"}, {"place": "R-99"}, {"age": "12"}, {"sex": "X"}, {"step": "month"}, {"span": "7"},
     {"as_of": "yesterday"}, {"as_of": "0001-01-01"}, {"by": "chance"}, {"source": "1"}, {"status": "x"}],
)  # fmt: skip
def test_what_there_is_not(given_: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings):
        read(given_, GROUPS, PLACES)


def test_a_day_stands_for_its_week() -> None:
    assert read({"week": "2026-01-08"}, GROUPS, PLACES).week == date(2026, 1, 5)
