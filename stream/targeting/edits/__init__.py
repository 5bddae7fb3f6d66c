"""Edits on a whole coded certificate: ids, severities and messages as data, each with its check."""

from stream.targeting.edits.checks import Edit, Edits, load

__all__ = ["Edit", "Edits", "load"]
