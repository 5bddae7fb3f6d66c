"""The commands of `causa` by name, each imported when it is called: nobody waits for what another command needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

TABLE: Mapping[str, tuple[str, str]] = {
    "up": ("servers:up", "Start the embedded Kafka and Triton and create the topics."),
    "down": ("servers:down", "Stop the embedded servers; their data stay."),
    "status": ("servers:status", "Show the embedded servers."),
    "topics": ("topics:app", "The topics, as stream/topics.yaml declares them."),
    "schemas": ("schemas:app", "The Avro schemas and their frozen versions."),
    "publish": ("publish:command", "Publish certificates to Kafka, each acknowledged by the broker."),
    "worker": ("worker:command", "Code certificates from Kafka until SIGTERM or Ctrl-C."),
    "tail": ("tail:command", "Print the records of a topic as JSON, one a line, as committed."),
    "code": ("code:command", "Code certificates of a file, without Kafka."),
    "underlying": ("underlying:command", "Select the underlying cause of certificates that are codes already."),
    "evaluate": ("evaluate:command", "Measure the coder against gold."),
    "calibrate": ("calibrate:command", "Fit the thresholds of a policy, so that its promises hold."),
    "target": ("target:command", "Explain the targeting policy, or another one on past certificates."),
    "quality": ("quality:command", "Tell how well certificates are coded, by what the blind audits say."),
    "automation": ("automation:app", "How far the machine is trusted, by stratum of the policy."),
    "groups": ("groups:command", "List the syndromic groups that surveillance counts, or explain one."),
    "counts": ("counts:app", "Deaths by cause, day, place, age, sex and source: asked, imported, counted anew."),
    "alerts": ("alerts:app", "Find alerts in what is coded; list, acknowledge, mute them."),
    "detect": ("detect:command", "Judge any series of counts by a method of detection."),
    "dashboard": ("dashboard:command", "Serve the dashboard of surveillance: what is unusual, where, and how sure."),
    "desk": ("desk:command", "Serve the coding desk: the queue of what the machine leaves to people, and its console."),
    "replay": ("replay:app", "Code ranges of topics again, compare, and account for every record."),
    "recode": ("recode:app", "Publish a replay's results as new revisions, once two people agree."),
    "repair": ("repair:app", "Mend dead letters and put them into the stream again, each once."),
    "trace": ("trace:app", "Tell every event of a certificate, and export it signed."),
    "accounts": ("accounts:app", "People who log in to the pages by password, their roles, and everybody's sessions."),
    "access": ("access:app", "The log of who saw or did what with which certificate."),
    "keys": ("keys:app", "The certificates' own keys, without which nobody reads their text."),
    "train": ("train:command", "Train the coder, from nothing or on an office's own certificates."),
    "demo": ("demo:command", "Code the samples on real servers before your eyes."),
}
"""By name: where the command is, and its line in the list of commands."""


class Commands(Mapping[str, Any]):
    """The commands by name, imported when they are looked at."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            where, _ = TABLE[name]
            self._known[name] = _imported(name, *where.split(":"))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(TABLE)

    def __len__(self) -> int:
        return len(TABLE)


def _imported(name: str, module: str, attribute: str) -> Any:
    found = getattr(import_module(f"stream.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        found.info.name = name
        group = typer.main.get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)


class Group(TyperGroup):
    """The group of all commands; their list is told without importing them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = Commands()
        self._listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the same for all
        """Names in the order of the table."""
        return list(TABLE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - likewise
        """The command of a name; None where there is none."""
        if cmd_name not in TABLE:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=TABLE[cmd_name][1], callback=lambda: None)
        return self.commands[cmd_name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help of `causa` itself."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False
