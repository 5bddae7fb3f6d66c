"""Two coders put together, whatever the text and whatever the model says: what must always hold."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.coder.coder import KEPT_ALTERNATIVES
from stream.coder.model import Tagged
from stream.coding import Assertion
from stream.nomenclature import icd10

from .lines import coded, read

words = st.sampled_from(
    [
        "Œdème",
        "cérébral",
        "choc",
        "septique",
        "péritonite",
        "sur",
        "pas",
        "d'embolie",
        "pulmonaire",
        "AVC",
        "en",
        "2015",
        "il",
        "y",
        "a",
        "3",
        "ans",
        ",",
        ";",
        "->",
        "+",
        "(",
        ")",
        "?",
        "ni",
        "ATCD",
        "cancer",
        "du",
        "sein",
        "métastases",
        "hépatiques",
        "pendaison",
        "HTA",
        "xyzzy",
        "décès",
        "ﬁèvre",
        "é",
        "secondaire",
        "à",
        "sepsis",
    ]
)
texts = st.one_of(st.lists(words, max_size=12).map(" ".join), st.text(max_size=60))
model_codes = st.lists(
    st.sampled_from(["A41.9", "R57.2", "I64", "C79.9", "I21.9", "I69.4", "nonsense"]), min_size=1, max_size=5
)


@settings(max_examples=200, deadline=None)
@given(texts, st.data())
def test_whatever_the_text_and_the_model(text: str, data: st.DataObject) -> None:
    size = len(read(text).text)
    tagged = []
    for _ in range(data.draw(st.integers(0, 3)) if size else 0):
        start = data.draw(st.integers(0, size - 1))
        codes = tuple(data.draw(model_codes))
        p = data.draw(st.floats(0, 1))
        tagged.append(Tagged(start, data.draw(st.integers(start + 1, size)), codes, (p,) * len(codes)))
    tagged.sort(key=lambda t: (t.start, t.end))
    found = coded(text, *tagged, died=date(2026, 1, 15))
    spans = [(e.start, e.end) for e in found.entities]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert [u.start for u in found.uncoded] == sorted(u.start for u in found.uncoded)
    assert all(0 <= u.start < u.end <= len(text) for u in found.uncoded)
    codes_said = [e.code for e in found.entities]
    assert len(set(codes_said)) == len(codes_said) and all(icd10.load().valid(c) for c in codes_said)
    for number, entity in enumerate(found.entities):
        assert 0.0 < entity.confidence <= 1.0 and entity.source
        assert entity.due_to is None or (entity.due_to != number and 0 <= entity.due_to < len(found.entities))
        assert entity.assertion is not Assertion.NEGATED and len(entity.alternatives) <= KEPT_ALTERNATIVES
        assert entity.code not in {a.code for a in entity.alternatives}
