"""One request as the layers around the pages know it: who comes, from where, in which language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from starlette.types import Scope

from stream.web import csrf
from stream.web.sessions import Session, token
from stream.web.users import User

if TYPE_CHECKING:
    from stream.web.front import Front

_VISIT = "causa.visit"
_FRONT = "causa.front"


@dataclass(slots=True)
class Visit:
    """A request's surroundings.

    Attributes:
        address: of the browser, behind proxies that are trusted.
        cookies: ours, by what they are of.
        language: that pages are answered in.
        session: of the browser; None where there is none.
        user: whose session it is.
        own: origin of our pages, as the browser names it.
        headers: to set on the answer, such as cookies.
    """

    address: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    language: str = "fr"
    session: Session | None = None
    user: User | None = None
    own: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    _drawn: str = ""

    def secret(self) -> str:
        """What the token against foreign requests goes with: the id of the session, else of the visit; may be empty."""
        return self.cookies.get("session", "") if self.session else self.cookies.get("visit", "") or self._drawn

    def visitor(self) -> str:
        """The id of a browser that is not logged in, drawn if it has none yet; the answer must then set it."""
        if not self.cookies.get("visit") and not self._drawn:
            self._drawn = token()
        return self.cookies.get("visit", "") or self._drawn

    @property
    def drawn(self) -> str:
        """The id that was drawn for this browser; empty where none was."""
        return self._drawn

    def csrf(self) -> str:
        """The token for the forms of this answer."""
        return csrf.token(self.secret() if self.session else self.visitor())


def visit_of(scope: Scope) -> Visit:
    """The visit of a request that our layers have seen."""
    return cast(Visit, scope[_VISIT])


def front_of(scope: Scope) -> Front:
    """What all pages of the service share."""
    return cast("Front", scope[_FRONT])


def enter(scope: Scope, front: Front) -> Visit:
    """Begin a request."""
    visit = scope[_VISIT] = Visit(language=front.translator.default)
    scope[_FRONT] = front
    return visit
