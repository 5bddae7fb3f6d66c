"""What every fault is, and the registry that knows them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from chaos.arena import Arena


class Fault:
    """Something that goes wrong.

    Attributes:
        name: in the registry, the suites and the report.
        figure: of the report; it grows with each strike that did something, and a suite where it does not is not sound.
    """

    name: ClassVar[str]
    figure: str

    def count(self, arena: Arena, more: int = 1) -> None:
        """Tell that it did what it is there for."""
        arena.count(self.figure, more)

    async def strike(self, arena: Arena) -> None:
        """Let it happen."""
        raise NotImplementedError

    async def heal(self, arena: Arena) -> None:
        """Undo what does not pass by itself."""


F = TypeVar("F", bound=type[Fault])
registry: dict[str, type[Fault]] = {}


def known(name: str) -> Callable[[F], F]:
    """Enter a fault under a name."""

    def enter(fault: F) -> F:
        assert name not in registry, name
        fault.name = name
        registry[name] = fault
        return fault

    return enter


def open_(name: str, **options: Any) -> Fault:
    """A fault of the registry, ready to strike."""
    return registry[name](**options)
