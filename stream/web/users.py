"""Who uses the pages, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person may do; each service knows some of them."""

    CODER = "coder"
    SENIOR = "senior"
    AUDITOR = "auditor"
    VIEWER = "viewer"
    EPIDEMIOLOGIST = "epidemiologist"
    ADMIN = "admin"


ROLES = {
    "desk": (Role.CODER, Role.SENIOR, Role.AUDITOR, Role.ADMIN),
    "dashboard": (Role.VIEWER, Role.EPIDEMIOLOGIST, Role.ADMIN),
}
"""Roles of each service that has pages."""


class Origin(StrEnum):
    """Where a person's login is kept."""

    LOCAL = "local"
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class User:
    """A person who is logged in.

    Attributes:
        pseudonym: stands for the person in events and in the access log.
        name: shown on the person's own pages only.
        roles: what the person may do in this service.
        origin: where the login is kept.
        must_change: the password was set by somebody else; nothing but changing it is allowed.
    """

    pseudonym: str
    name: str
    roles: frozenset[Role]
    origin: Origin
    must_change: bool = False

    def has(self, *roles: Role) -> bool:
        """Whether any of the roles is held; with none named, whether there is any role at all."""
        return bool(self.roles.intersection(roles) if roles else self.roles)


def read_roles(text: str, allowed: tuple[Role, ...]) -> frozenset[Role]:
    """Roles as a table keeps them, by commas; those that this service does not know count for nothing."""
    return frozenset(role for role in allowed if role in text.split(","))


def written_roles(roles: frozenset[Role]) -> str:
    """The opposite of `read_roles`."""
    return ",".join(sorted(roles))
