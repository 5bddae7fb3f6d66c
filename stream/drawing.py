"""Drawings as SVG to stand inside a page: their style, and how they are named for who does not see them."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, BLUE, GREY, RED, GREEN, AMBER = "#1d2733", "#1f6feb", "#9aa7b4", "#c2410c", "#15803d", "#b7791f"
_STYLE: Any = {
    "font.size": 10, "axes.edgecolor": GREY, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none", "font.family": "sans-serif",
    "svg.hashsalt": "causa", "axes.titlesize": 11, "axes.titlelocation": "left",
}  # fmt: skip


@contextmanager
def drawn(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of one drawing in the style of all reports; sizes in inches."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        yield figure, figure.add_subplot()


def svg(figure: Figure, title: str, description: str = "") -> str:
    """The drawing as an element of a page, the same bytes for the same drawing.

    Args:
        figure: inside the block of `drawn`.
        title: its name, unique on the page.
        description: what it shows, for who hears the page.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None, "Title": title})
    body = out.getvalue()
    # The page is one document: the drawing's own head has no place in it, and its ids must not meet another drawing's.
    body = body[body.index("<svg") :]
    prefix = re.sub(r"\W", "", title)
    body = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
    label = html.escape(f"{title}. {description}" if description else title, quote=True)
    return body.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
