"""`causa automation`: how far the machine is trusted, as it stands, lowered and restored by a person."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from stream import kafka
from stream.automation import ALL, STRICTNESS, KafkaAnnouncer, KafkaChanges, Trust, fold
from stream.certificate import utc_now
from stream.coding import Automation, AutomationChange
from stream.embedded.servers import Embedded
from stream.errors import InvalidSettings
from stream.registry import open_registry
from stream.settings import Settings, load
from stream.targeting import policy
from stream.targeting.policy import Policy
from stream.wire import Wire
from stream.worker.subjects import subject_topics

app = typer.Typer(
    help="How far the machine is trusted, by stratum of the policy: NORMAL, STRICT (its stricter thresholds) or HALTED.",
    no_args_is_help=True,
)
_COLOURS = {Automation.NORMAL: "green", Automation.STRICT: "yellow", Automation.HALTED: "bold red"}
Scope = Annotated[str, typer.Argument(help="Stratum of the policy; * stands for all.")]
Who = Annotated[str, typer.Option(help="Your pseudonym.")]
Text = Annotated[str, typer.Option(help="Your reason. It is kept and logged: quote no certificate.")]


class Lower(StrEnum):
    """What a person may lower to."""

    STRICT = "STRICT"
    HALTED = "HALTED"


class Higher(StrEnum):
    """What a person may restore to."""

    NORMAL = "NORMAL"
    STRICT = "STRICT"


class _Office:
    """The policy in force and the topic of changes."""

    def __init__(self) -> None:
        self.settings: Settings = load()
        self.policy: Policy = policy.load(self.settings.policy, self.settings.thresholds)
        self.strata = [stratum.name for stratum in self.policy.rules.strata]
        topics = subject_topics(self.settings)
        options = kafka.client_options(self.settings, Embedded(self.settings).bootstrap())
        where = Wire(open_registry(self.settings.registry, topics)), topics["automation"], options
        self._changes, self._announcer = KafkaChanges(*where), KafkaAnnouncer(*where)

    async def trust(self) -> Trust:
        """What holds now."""
        try:
            return fold(await self._changes.read())
        finally:
            await self._changes.close()

    async def announce(self, change: AutomationChange) -> None:
        """Write a change."""
        await self._announcer.announce(change)


@app.command()
def status() -> None:
    """Show what holds in each stratum, since when, by whom and why. Example: `causa automation status`."""
    office = _Office()
    show(asyncio.run(office.trust()), office.strata, Console())


@app.command()
def lower(
    scope: Scope,
    *,
    to: Annotated[Lower, typer.Option(help="STRICT or HALTED.")],
    who: Who = "",
    why: Text = "",
) -> None:
    """Trust the machine less in a stratum, from the next certificate on, until a person restores it.

    Examples: `causa automation lower '*' --to HALTED --who c17 --why "wrong model deployed"`
    """
    _change(scope, Automation(to.value), who, why, lower=True)


@app.command()
def restore(
    scope: Scope,
    *,
    to: Annotated[Higher, typer.Option(help="NORMAL, or STRICT where it was HALTED.")] = Higher.NORMAL,
    who: Who = "",
    why: Text = "",
) -> None:
    """Trust the machine again, whatever lowered it; only a person can.

    What is set for all strata and what is set for one are restored apart.
    Example: `causa automation restore rest --who c17 --why "the lexicon knows the new words, recalibrated"`
    """
    _change(scope, Automation(to.value), who, why, lower=False)


def _change(scope: str, automation: Automation, who: str, why: str, *, lower: bool) -> None:
    who, why = who.strip(), why.strip()
    if not who or not why:
        raise InvalidSettings("who decides, and why?", hint="--who NAME --why TEXT")
    office = _Office()
    trust = asyncio.run(office.trust())
    check(trust, office.strata, scope, automation, lower=lower)
    change = AutomationChange(scope, automation, why, who, office.policy.version, utc_now())
    asyncio.run(office.announce(change))
    show(trust.after(change), office.strata, Console())


def check(trust: Trust, strata: list[str], scope: str, automation: Automation, *, lower: bool) -> None:
    """Refuse what is no lowering, or no restoring.

    Raises:
        InvalidSettings: the scope is unknown, or is set so already, or the change goes the other way.
    """
    # A stratum that the policy no longer has may still be restored, so that the table is clean.
    known = dict.fromkeys([ALL, *strata, *trust.held])
    if scope not in known:
        raise InvalidSettings(f"{scope} is no stratum of the policy", hint=", ".join(known))
    own = trust.own(scope)
    step = STRICTNESS[automation] - STRICTNESS[own]
    if (step if lower else -step) > 0:
        return
    hint = f"causa automation {'restore' if step < 0 else 'lower'} '{scope}' --to {automation}" if step else ""
    if not step and not lower and trust.own(ALL) is not Automation.NORMAL:
        hint = f"what is set for all is {trust.own(ALL)}: causa automation restore '{ALL}'"
    raise InvalidSettings(f"{scope} is {own}" + (" already" if not step else ""), hint=hint)


def show(trust: Trust, strata: list[str], console: Console) -> None:
    """Print what holds, scope by scope, with the change that set it."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("scope", "set to", "holds", "since", "by", "why"):
        table.add_column(column, overflow="fold")
    gone = sorted(set(trust.held) - {ALL, *strata})
    for scope in (ALL, *strata, *gone):
        held, holds = trust.held.get(scope), trust.of(scope)
        since = f"{held.at:%Y-%m-%d %H:%M} UTC" if held else ""
        by = (held.who or "alarm") if held else ""
        why = held.why if held else ""
        name = "all (*)" if scope == ALL else f"{scope} (not in the policy)" if scope in gone else scope
        own = f"[{_COLOURS[trust.own(scope)]}]{trust.own(scope)}[/]"
        table.add_row(name, own, f"[{_COLOURS[holds]}]{holds}[/]", since, _plain(by), _plain(why))
    console.print(table)


def _plain(text: str) -> str:
    """Text of a person, in which brackets and control characters mean nothing."""
    return "".join(c if c.isprintable() else " " for c in text).replace("[", r"\[")
