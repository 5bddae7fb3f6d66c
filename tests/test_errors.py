from __future__ import annotations

import inspect
import re

import pytest

from stream import errors
from stream.errors import CausaError, InputError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CausaError)]


def drawn() -> dict[str, str]:
    """Base of each class in the docstring's tree, by the depth of its branch."""
    parents: dict[str, str] = {}
    open_at: dict[int, str] = {0: "CausaError"}
    for row in (errors.__doc__ or "").splitlines():
        branch = re.match(r"^ {4}((?:│   |    )*)[├└]── (\w+)", row)
        if branch:
            depth = len(branch[1]) // 4 + 1
            parents[branch[2]] = open_at[depth - 1]
            open_at[depth] = branch[2]
    return parents


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    actual = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not CausaError}
    assert drawn() == actual
    assert CausaError.__bases__ == (Exception,)


def test_every_class_has_a_code_of_its_own() -> None:
    codes = {kind.__name__: vars(kind).get("code") for kind in CLASSES}
    assert all(codes.values())
    assert len(set(codes.values())) == len(codes)
    for code in codes.values():
        assert isinstance(code, str)
        assert re.fullmatch("[A-Z][A-Z_]+", code)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_message_and_hint(kind: type[CausaError]) -> None:
    error = kind("what went wrong", hint="what to do")
    assert (error.message, error.hint, str(error)) == ("what went wrong", "what to do", "what went wrong")
    assert kind().message == kind().hint == ""
    assert kind.__doc__
    assert "\n" not in kind.__doc__.strip() or kind is CausaError


def test_each_side_of_the_tree_says_what_becomes_of_a_record() -> None:
    sides = {errors.InputError, errors.InfrastructureError, errors.Refused, errors.SetupError}
    for kind in CLASSES:
        assert kind is CausaError or len([side for side in sides if issubclass(kind, side)]) == 1
    assert not issubclass(errors.ModelFault, InputError)
