"""What a service brings to its pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from stream.web.users import Role

Check = Callable[[], Awaitable[str]]
"""Whether something that the service needs is there: empty, or what speaks against it in a sentence of ours."""


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A link in the header.

    Attributes:
        path: where it leads.
        text: key of its text.
        roles: who sees it; none means everybody who is logged in.
        key: keyboard shortcut to show beside it; the page's script acts on it.
    """

    path: str
    text: str
    roles: tuple[Role, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Site:
    """A service's pages.

    Attributes:
        name: `desk` or `dashboard`: in the cookies, in `/static/<name>/`, in the text key `<name>.title`.
        roles: that people may have in it.
        routes: its pages; every endpoint says by `require` or `public` who may come.
        templates: folder of its templates, which extend `base.html.j2`.
        texts: folder with its `fr.yaml` and `en.yaml`.
        static: folder of files that anybody may have.
        menu: links in the header.
        home: where a login leads.
        checks: of `/health/ready`, by name.
        filters: of its templates, besides ours.
        context: names that its templates know everywhere.
    """

    name: str
    roles: tuple[Role, ...]
    routes: Sequence[BaseRoute]
    templates: Path
    texts: Path
    static: Path | None = None
    menu: tuple[MenuItem, ...] = ()
    home: str = "/"
    checks: Mapping[str, Check] = field(default_factory=dict)
    filters: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
