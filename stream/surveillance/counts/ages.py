"""Age groups of the counts: those of EuroMOMO (euromomo.eu, frequently asked questions), and unknown."""

from __future__ import annotations

from bisect import bisect_right

from stream.certificate import Age, Form

AGES = ("0-14", "15-44", "45-64", "65-74", "75-84", "85+", "unknown")
UNKNOWN = len(AGES) - 1
_FROM = (15, 45, 65, 75, 85)


def age_group(age: Age | None, form: Form = Form.GENERAL) -> int:
    """Place in `AGES` of an age at death; the neonatal form tells a newborn where the age is not known."""
    if age is None:
        return 0 if form is Form.NEONATAL else UNKNOWN
    return bisect_right(_FROM, age.years)
