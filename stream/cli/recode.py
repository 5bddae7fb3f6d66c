"""`causa recode`: a replay's results made official, once two people agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli.replay import person
from stream.errors import InvalidSettings
from stream.settings import Settings, load

if TYPE_CHECKING:  # the core takes seconds to import
    from stream.replay.manifest import Event, Manifest
    from stream.replay.publishing import Publisher
    from stream.replay.recode import Fate, Results
    from stream.replay.run import Run

app = typer.Typer(no_args_is_help=True, help="Publish the results of a replay as new revisions, once two people agree.")
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A replay that is at its end.")]
Key = Annotated[Path, typer.Option(help="Your private key: PEM, Ed25519.")]
Who = Annotated[str, typer.Option("--as", help="You, as the file of people names you.")]


@app.command("key")
def key(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; the public one beside it.")],
) -> None:
    """Make a key to sign with, and print the public one for the file of people (CAUSA_REPLAY__PEOPLE).

    Example: `causa recode key anne.pem`
    """
    from stream.replay import signing

    typer.echo(signing.make_key(path))


@app.command("plan")
def plan(
    name: RunName,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what differs in versions and confidences alone.")
    ] = False,
) -> None:
    """Print what would become of the results of a run, and who has agreed; nothing is written.

    Example: `causa recode plan winter`
    """
    raise typer.Exit(asyncio.run(_plan(load(), name, everything)))


@app.command("propose")
def propose(
    name: RunName,
    key: Key,
    who: Who,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what differs in versions and confidences alone.")
    ] = False,
) -> None:
    """Propose to publish a run's results, after its comparison with what was recorded (`causa replay diff RUN`).

    Example: `causa recode propose winter --key anne.pem --as anne`
    """
    raise typer.Exit(asyncio.run(_propose(load(), name, key, person(who), everything)))


@app.command("approve")
def approve(name: RunName, key: Key, who: Who) -> None:
    """Approve the newest proposal, as another person with another key; what is approved is printed.

    Example: `causa recode approve winter --key bea.pem --as bea`
    """
    raise typer.Exit(asyncio.run(_approve(load(), name, key, person(who))))


@app.command("publish")
def publish(
    name: RunName,
    execute: Annotated[
        bool, typer.Option(help="Do it. Without this the plan is printed and nothing is written.")
    ] = False,
    who: Annotated[
        str, typer.Option("--as", help="Who does it, as it is written down; else the name of this login.")
    ] = "",
) -> None:
    """Publish what was agreed to, each result once: the same command again goes on where it stopped or was killed.

    A result that a person decided, amended or withdrew is never touched. Results go into `coded` with the next revision,
    the tasks that go with them into `manual`.
    Examples: `causa recode publish winter`, `causa recode publish winter --execute`

    Exit status: 0 done and accounted for; 1 not every record is; 2 nobody approved.
    """
    raise typer.Exit(asyncio.run(_publish(load(), name, execute, person(who))))


class _Work:
    """What each command works with."""

    def __init__(self, settings: Settings, name: str, *, looking: bool = True) -> None:
        from stream.embedded.servers import Embedded
        from stream.replay import shell
        from stream.replay.kafka_broker import KafkaBroker
        from stream.replay.manifest import Manifest
        from stream.replay.run import run_of
        from stream.replay.versions import logged_in

        own = logged_in(settings, settings.replay.recode_login, "replay.recode_login")
        self.bootstrap = Embedded(settings).bootstrap()
        self.desk = shell.desk_of(own, KafkaBroker(own, self.bootstrap), looking=looking)
        self.run: Run = run_of(settings, name)
        self.manifest: Manifest = Manifest(self.desk.broker, self.run, f"{self.run.recode_group}-manifest")

    async def events(self) -> list[Event]:
        """The run's manifest.

        Raises:
            InvalidSettings: the run is not at its end, or not every record is accounted for.
        """
        from stream.replay.manifest import Act, last

        if self.run.manifest not in await self.desk.broker.topics():
            raise InvalidSettings(f"there is no run {self.run.name}", hint="causa replay list")
        events = await self.manifest.read()
        finished = last(events, Act.FINISHED)
        if finished is None:
            raise InvalidSettings(f"run {self.run.name} is not at its end", hint="the command that began it goes on")
        if finished.body["faults"]:
            raise InvalidSettings(f"run {self.run.name} does not account for every record", hint="begin a new run")
        return events

    async def publisher(self, everything: bool, approval: str = "") -> Publisher:
        """What publishes the run."""
        from stream.replay import shell
        from stream.replay.publishing import Publisher

        now = await shell.trust_now(self.desk.settings, self.bootstrap, self.desk.wire)
        return Publisher(self.desk, self.run, now, everything=everything, approval=approval)


def _show(counts: Counter[Fate]) -> None:
    from stream.replay.recode import TOLD

    for one, told in TOLD.items():
        if counts[one]:
            typer.echo(f"{counts[one]:>9,}  {told}")


async def _plan(settings: Settings, name: str, everything: bool) -> int:
    from stream.replay import signing
    from stream.replay.agreeing import agreed, standing_proposal
    from stream.replay.manifest import Act, last
    from stream.replay.publishing import counted, progress

    work = _Work(settings, name)
    events = await work.events()
    counts, results = await (await work.publisher(everything)).foreseen()
    typer.echo(f"{results.records:,} results of {name}, {results.digest[:16]}…")
    _show(counts)
    known = signing.people(settings.replay.people) if settings.replay.people else {}
    proposal, both = standing_proposal(events, known), agreed(events, known)
    typer.echo(f"proposed by {proposal[0]['who']} at {proposal[0]['at']}" if proposal else "nobody has proposed it")
    typer.echo(f"approved by {both.approver}" if both else "nobody has approved it")
    if proposal and proposal[0].get("people") != signing.digest_of(known):
        typer.echo("who may propose and approve is not what it was then: under this list it is proposed anew")
    if (done := await progress(work.desk.broker, work.run)) is not None:
        typer.echo("published so far:")
        _show(done)
    elif last(events, Act.PUBLISHING) is not None:  # so long ago that Kafka has forgotten how far it was
        typer.echo(f"published so far: {(await counted(work.desk, work.run))[0]:,} results")
    return 0


async def _propose(settings: Settings, name: str, path: Path, who: str, everything: bool) -> int:
    from stream.certificate import utc_now
    from stream.replay import agreeing, signing
    from stream.replay.manifest import Act
    from stream.replay.run import RECORDED

    private, known = signing.private_key(path), signing.people(settings.replay.people)
    agreeing.own(who, private, known, "propose")
    work = _Work(settings, name)
    events = await work.events()
    compared = [one for one in events if one.act is Act.COMPARED and one.body["with"] == RECORDED]
    if not compared:
        raise InvalidSettings("nobody has compared the run with what was recorded", hint=f"causa replay diff {name}")
    counts, results = await (await work.publisher(everything)).foreseen()
    statement = agreeing.proposed(
        name, results, compared[-1].body["report"], counts, who, utc_now(), people=signing.digest_of(known),
        everything=everything,
    )  # fmt: skip
    await work.manifest.write(Act.PROPOSED, who, agreeing.signed(statement, private))
    _show(counts)
    typer.echo(f"proposed by {who}: another person may approve it (causa recode approve {name})")
    return 0


async def _approve(settings: Settings, name: str, path: Path, who: str) -> int:
    from stream.certificate import utc_now
    from stream.replay import agreeing, signing
    from stream.replay.manifest import Act

    private, known = signing.private_key(path), signing.people(settings.replay.people)
    agreeing.own(who, private, known, "approve")
    work = _Work(settings, name)
    proposal = agreeing.standing_proposal(await work.events(), known)
    if proposal is None:
        raise InvalidSettings("nothing is proposed", hint=f"causa recode propose {name}")
    statement, hashed = proposal
    agreeing.same_people(statement, known)
    if statement["who"] == who:
        raise InvalidSettings("who proposes does not approve", hint="another person, with another key")
    counts, results = await (await work.publisher(bool(statement["everything"]))).foreseen()
    _check(statement, results)
    typer.echo(
        f"proposed by {statement['who']} at {statement['at']}, on a report.json of SHA-256 {statement['report']}"
    )
    _show(counts)
    approval = agreeing.approved(name, hashed, who, utc_now(), people=signing.digest_of(known))
    await work.manifest.write(Act.APPROVED, who, agreeing.signed(approval, private))
    typer.echo(f"approved by {who}: causa recode publish {name} --execute")
    return 0


def _check(statement: dict[str, Any], results: Results) -> None:
    """Raises: InvalidSettings where the run's results are not those that were proposed."""
    if results.digest != statement["results"]:
        raise InvalidSettings(
            "the run's results are not those that were proposed", hint="look at the run, propose anew"
        )


def _done(events: list[Event], proposal: str) -> Event | None:
    """The end of publishing a proposal, where all was accounted for."""
    from stream.replay.manifest import Act, last

    done = last(events, Act.PUBLISHED)
    return done if done is not None and done.body["proposal"] == proposal and not done.body["faults"] else None


def _counts(done: Event) -> Counter[Fate]:
    from stream.replay.recode import Fate

    return Counter({Fate(name): number for name, number in done.body["counts"].items()})


async def _publish(settings: Settings, name: str, execute: bool, who: str) -> int:
    from stream.replay import signing
    from stream.replay.agreeing import agreed, same_people, standing_proposal
    from stream.replay.history import seconds
    from stream.replay.manifest import Act
    from stream.replay.publishing import counted
    from stream.replay.recode import PUBLISHED

    work, known = _Work(settings, name, looking=not execute), signing.people(settings.replay.people)
    events, people = await work.events(), signing.digest_of(known)
    if proposal := standing_proposal(events, known):
        same_people(proposal[0], known)
    both = agreed(events, known)
    if both is None:
        raise InvalidSettings("two people have not agreed to it", hint=f"causa recode propose {name}; then approve")
    if (done := _done(events, both.hash)) is not None:
        typer.echo(f"published by {done.who} at {seconds(done.at)}: nothing is left to do")
        _show(_counts(done))
        return 0
    publisher = await work.publisher(both.everything, both.hash)
    counts, results = await publisher.foreseen()
    _check(dict(both.proposal), results)
    typer.echo(f"proposed by {both.proposer}, approved by {both.approver}; what is left to do now:")
    _show(counts)
    if not execute:
        typer.echo("nothing was done: --execute does it", err=True)
        return 0
    # With the list itself both signatures can be checked when it has long been another.
    listed = {"proposal": both.hash, "people": people, "deciding": signing.deciding(known)}
    await work.manifest.write(Act.PUBLISHING, who, listed)
    total = await publisher.publish()
    there, twice = await counted(work.desk, work.run)
    number = sum(total[one] for one in PUBLISHED)
    typer.echo(f"published {number:,} of {total.total():,} results; {there:,} are there, {twice:,} twice")
    _show(total)
    faults = (
        [] if (there, twice, total.total()) == (number, 0, results.records) else ["not every result is accounted for"]
    )
    await work.manifest.write(
        Act.PUBLISHED, who,
        {"proposal": both.hash, "people": people, "counts": {k.value: v for k, v in total.items()}, "faults": faults},
    )  # fmt: skip
    for fault in faults:
        typer.echo(f"fault: {fault}", err=True)
    return 1 if faults else 0
