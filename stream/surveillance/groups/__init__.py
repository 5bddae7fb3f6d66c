"""Syndromic groups: which deaths are counted together, as data that epidemiologists maintain (docs/groups.md)."""

from stream.surveillance.groups.group import Group
from stream.surveillance.groups.matcher import Groups, Membership
from stream.surveillance.groups.table import load

__all__ = ["Group", "Groups", "Membership", "load"]
