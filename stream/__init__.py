"""Causa codes causes of death from French certificates, as a stream of events."""

__version__ = "0.1.0"
