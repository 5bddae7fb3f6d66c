"""Faults by name. Each is struck at an arena and healed after a while; some heal by themselves.

faults.open_("pause-worker").strike(arena) … .heal(arena)
"""

from __future__ import annotations

from chaos.faults import broker, connection, fleet, foreign, model, worker  # noqa: F401 - each enters its faults
from chaos.faults.fault import Fault, open_, registry

__all__ = ["Fault", "open_", "registry"]
