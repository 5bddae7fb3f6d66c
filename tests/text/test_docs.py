"""The examples in the docstrings are true."""

import doctest
import importlib

import pytest

MODULES = ("fold", "tables", "abbreviations", "spelling", "tokens", "normal", "segment", "interval", "noncauses")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"stream.text.{name}"))
    assert result.attempted
    assert not result.failed
