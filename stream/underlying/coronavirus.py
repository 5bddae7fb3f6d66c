"""COVID-19 as some offices code it: B34.2, with U07.1 or U07.2 beside it as a mark and not as a cause (Brazil, 2020 on).

The rules of COVID-19 go by U07; the answer is then B34.2, as that office writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stream.underlying.causes import Causes
from stream.underlying.codes import bare

_DISEASE = "B34.2"
_MARKS = ("U07.1", "U07.2")

Reading = Mapping[str, tuple[str, str] | None]
"""For a code: the bare code that the rules go by and the code as written; None for a mark that is passed over."""


def reading(causes: Causes) -> tuple[Reading, Reading]:
    """How B34.2 and its marks are read, in Part I and in Part II; empty where there are not both.

    A text is coded by Causa itself, which gives U07 for COVID-19: its B34.2 is another coronavirus.
    """
    part1 = {code for line in causes.part1 for code in line}
    mark = next((mark for mark in _MARKS if mark in part1 or mark in causes.part2), None)
    if mark is None or causes.from_text or not (_DISEASE in part1 or _DISEASE in causes.part2):
        return {}, {}
    disease = bare(mark), _DISEASE
    passed_over: Reading = {_DISEASE: disease, **dict.fromkeys(_MARKS)}
    # Where only the mark stands in Part I, it tells the place of the disease.
    return (passed_over if _DISEASE in part1 else dict.fromkeys(_MARKS, disease)), passed_over


def read(codes: Iterable[str], how: Reading) -> Iterable[tuple[str, str]]:
    """(bare code that the rules go by, code as written) of each code that counts."""
    for code in codes:
        found = how.get(code, (bare(code), code))
        if found is not None:
            yield found
