"""Tells at the end what became of the inputs, where the campaign is a long one."""

from __future__ import annotations

import pytest

from .campaign import SCALE, report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After the tests."""
    if SCALE > 1:
        terminalreporter.section("fuzz")
        for line in report():
            terminalreporter.write_line(line)
