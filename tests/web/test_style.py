"""Contrasts of the style sheet, by WCAG 2.2: 4.5 for text (1.4.3), 3 for edges of controls and for focus (1.4.11)."""

from __future__ import annotations

import re

import pytest

from stream.web.front import FOLDER

CSS = (FOLDER / "static" / "causa.css").read_text()
COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", CSS))
PAPERS = ("paper", "paper-2", "paper-3")
TEXT = [
    *[(ink, paper) for ink in ("ink", "ink-quiet", "accent", "bad") for paper in PAPERS],
    *[(ink, "info-2") for ink in ("ink", "ink-quiet", "accent")],
    *[(name, f"{name}-2") for name in ("good", "warn", "bad", "info")],
    *[(name, "paper") for name in ("good", "warn", "info")],
    ("accent-ink", "accent"),
    ("ink", "mark"),
]
SHAPES = [
    *[(shape, paper) for shape in ("edge", "focus") for paper in PAPERS[:2]],
    *[(f"series-{number}", "paper") for number in range(1, 7)],
]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str, dark: bool) -> float:
    lights = sorted(luminance(COLOURS[name].split(", ")[dark]) for name in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (SHAPES, 3.0)], ids=["text", "shapes"])
def test_contrasts(pairs: list[tuple[str, str]], least: float, dark: bool) -> None:
    found = {pair: round(contrast(*pair, dark), 2) for pair in pairs}
    assert not {pair: ratio for pair, ratio in found.items() if ratio < least}


def test_nothing_comes_from_elsewhere() -> None:
    for file in (FOLDER / "static").iterdir():
        text = file.read_text()
        assert not re.search(r"@import|https?://(?!www\.w3\.org/2000/svg)|url\(", text), file.name


def test_scripts_make_no_code_out_of_text() -> None:
    for file in (FOLDER / "static").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", file.read_text()
        )
