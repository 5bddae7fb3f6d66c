"""What a person may see of counts."""

from __future__ import annotations

from dataclasses import dataclass

from stream.web.users import Role, User

ROLES = (Role.VIEWER, Role.EPIDEMIOLOGIST, Role.ADMIN)
"""Of this service."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Attributes:
    small: whether small counts are seen, and with them days, crossed tables, states of knowledge, single deaths and
        certificates' ids. Without it `suppression` holds.
    """

    small: bool

    @classmethod
    def of(cls, user: User) -> Rights:
        """Those of a person."""
        return cls(user.has(Role.EPIDEMIOLOGIST, Role.ADMIN))
