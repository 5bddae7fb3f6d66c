"""Derives the tables of `stream/underlying/tables/` from the data folder, trains the ranker and fits the two together.

::

    python -m training.underlying compare DATA     how the two editions of the causal table agree
    python -m training.underlying tables DATA      causal.tsv.gz, overrides.tsv, derived.tsv, confidence.tsv, in this order
    python -m training.underlying ranker DATA      train the ranker on train and serve it (model_repo/underlying/1)
    python -m training.underlying together DATA    fit together.json on dev
    python -m training.underlying score DATA       rules, ranker and both on dev; with --test, on the untouched split
    python -m training.underlying unseen DATA      the same for causes that were left out of a training of their own
    python -m training.underlying promise DATA     thresholds for promised errors, and what came true of them on the test split
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stream.targeting import risk
from stream.underlying import together
from stream.underlying.codes import bare
from stream.underlying.tables import FOLDER, read_tables
from training.underlying import acme, derive
from training.underlying.certificates import Coded, certificates

TEXT_WEIGHT = 2.0
"""What a certificate written for this project weighs beside one of the US."""
UNSEEN = ("C61", "C50", "G30", "J84", "K70", "I35", "E11", "W19")
"""Categories left out of a training to see what the ranker makes of causes that it never saw."""


def tables(data: Path) -> None:
    """The four tables that come from data."""
    from training.underlying import scoring

    write("causal.tsv.gz", acme.table(acme.edition_2015(data)))
    train = certificates(data, "train")
    now = read_tables()
    found = derive.verdicts(now, train)
    write("overrides.tsv", derive.override_rows(found))
    causal = now.causal.with_overrides({key: v.accepted for key, v in found.items()})
    write("derived.tsv", derive.modification_rows(derive.modifications(replace(now, causal=causal), train)))
    write("confidence.tsv", scoring.confidence_rows(read_tables(), certificates(data, "dev")))


def ranker(data: Path, folder: Path, keep: Callable[[Coded], bool] = lambda _: True) -> None:
    """Train on the certificates to keep, and write what is served."""
    from training.underlying import ranker as learning
    from training.underlying import rows

    now = read_tables()
    us = rows.crossed([item for item in certificates(data, "train") if keep(item)], now)
    text = rows.examples([item for item in rows.read_from_text("train") if keep(item)], now, TEXT_WEIGHT)
    found = [*us, *text]
    words = rows.vocabulary(found)
    plan = learning.Plan()
    network = learning.train(plan, rows.encode(found, words), words, lambda told: print(json.dumps(told), flush=True))
    learning.export(network, words, 1.0, folder)


def fit_together(data: Path) -> None:
    """Weights of `together.json`."""
    from training.local import LocalRanker
    from training.underlying import fit, rows, scoring

    items = [*certificates(data, "dev"), *rows.read_from_text("dev")]
    judged = scoring.judge(items, read_tables(), LocalRanker())
    fit.save(fit.together(judged), f"{len(items)} certificates of dev")


def score(
    data: Path,
    split: str,
    folder: Path | None = None,
    keep: Callable[[Coded], bool] = lambda _: True,
    plot: Path | None = None,
) -> None:
    """Print what `scoring.lines` tells; draw the US certificates' reliability where a file is named for it."""
    from stream.evaluation import plots
    from training.local import LocalRanker
    from training.underlying import rows, scoring

    now = read_tables()
    sets: dict[str, Sequence[Coded]] = {
        f"US certificates, {split}": certificates(data, "test" if split == "test" else "dev")
    }
    if split == "dev":
        sets["written for this project, dev"] = rows.read_from_text("dev")
    for name, items in sets.items():
        print(name)
        judged = scoring.judge([item for item in items if keep(item)], now, LocalRanker(folder))
        print("\n".join(scoring.lines(judged, together.load(), now)))
        if plot and name.startswith("US"):
            drawn = plots.reliability(scoring.reliability(judged, together.load(), now), name)
            plot.write_text(drawn, encoding="utf-8")


def promise(data: Path) -> None:
    """Print what promised errors cost in coverage, and what came true.

    Thresholds are fitted on the development split, which flatters the rules, and on one half of the test split, drawn by
    its certificates' places; both are held against the other half.
    """
    from training.local import LocalRanker
    from training.underlying import scoring

    now, both = read_tables(), together.load()
    found = {name: scoring.reliability(scoring.judge(certificates(data, name), now, LocalRanker()), both, now)
             for name in ("dev", "test")}  # fmt: skip
    test = list(zip(found["test"].chances, found["test"].right, strict=True))
    samples = {"dev": list(zip(found["dev"].chances, found["dev"].right, strict=True)), "half of test": test[::2]}
    for error in (0.01, 0.02, 0.05):
        for name, sample in samples.items():
            chosen = risk.choose([p for p, _ in sample], [good for _, good in sample], error, 0.05)
            taken = [good for p, good in test[1::2] if chosen.threshold is not None and p >= chosen.threshold]
            wrong = len(taken) - sum(taken)
            print(f"at most {error:.0%} wrong, fitted on {name}: threshold {chosen.threshold}, automatic "
                  f"{len(taken) / len(test[1::2]):.1%} of the other half, {wrong} of {len(taken)} wrong "
                  f"({wrong / max(1, len(taken)):.2%})")  # fmt: skip


def mentions_unseen(item: Coded) -> bool:
    """Whether a certificate has a code of the categories left out, or its cause is one."""
    codes = {bare(code)[:3] for line in (*item.causes.part1, item.causes.part2) for code in line}
    return bool((codes | {item.answer[:3]}) & set(UNSEEN))


def write(name: str, rows: list[str]) -> None:
    """Text or gzip without a time stamp, so that the same data give the same bytes."""
    text = ("\n".join(rows) + "\n").encode()
    (FOLDER / name).write_bytes(gzip.compress(text, 9, mtime=0) if name.endswith(".gz") else text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("compare", "tables", "ranker", "together", "score", "unseen", "promise"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--test", action="store_true", help="score on the split that nothing was chosen on")
    parser.add_argument("--out", type=Path, default=Path("runs/unseen"), help="where `unseen` keeps its ranker")
    parser.add_argument("--plot", type=Path, help="file for the reliability diagram (SVG)")
    options = parser.parse_args()
    data: Path = options.data
    if options.step == "compare":
        print(acme.compare(data, certificates(data, "train")))
    elif options.step == "tables":
        tables(data)
    elif options.step == "ranker":
        from training.underlying.rows import FRONT

        ranker(data, FRONT.parent)
    elif options.step == "together":
        fit_together(data)
    elif options.step == "score":
        score(data, "test" if options.test else "dev", plot=options.plot)
    elif options.step == "promise":
        promise(data)
    else:
        if not (options.out / "ranker.onnx").exists():
            ranker(data, options.out, lambda item: not mentions_unseen(item))
        print("left out:", " ".join(UNSEEN))
        score(data, "dev", options.out, mentions_unseen)


if __name__ == "__main__":
    main()
