"""How common each cause of death is: the table by which targeting tells rare causes.

``python -m training.common DATA`` counts the categories of the official underlying causes of the training split and
adds what came after its year, by hand.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from stream.targeting.common import TABLE
from training.underlying.certificates import certificates

LATER = {"U07": (1500.0, "COVID-19, after 2017: an order of magnitude, by hand"),
         "U09": (20.0, "after COVID-19: an order of magnitude, by hand")}  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    found = certificates(options.data, "train")
    counted = Counter(item.answer[:3] for item in found)
    source = f"n={len(found)} US certificates, 2017"
    rows = {code: (1e5 * n / len(found), source) for code, n in counted.items()} | LATER
    lines = [f"{code}\t{rate:.1f}\t{why}\n" for code, (rate, why) in sorted(rows.items())]
    TABLE.write_text("category\tper_100000\tsource\n" + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
