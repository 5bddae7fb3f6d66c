"""Which versions speak in a replay, and the settings under which they do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from stream.errors import InvalidSettings
from stream.services import Login
from stream.settings import Sasl, Settings


class Trusting(StrEnum):
    """How far the machine is trusted while certificates are routed anew.

    RECORDED: as each certificate's recorded result says, so that an alarm of that day is no difference; NOW: as the
    topic `automation` says now; NORMAL: by the thresholds alone.
    """

    RECORDED = "recorded"
    NOW = "now"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Speaking:
    """Versions that a person asked for; what is empty is as the settings say.

    Attributes:
        coder, underlying: models as ``NAME:VERSION``.
        policy, thresholds: files.
        python: interpreter of another installation of Causa, whose rules and lexicon code.
        cache: coded lines that are remembered; None as the settings say.
        trusting: see there.
    """

    coder: str = ""
    underlying: str = ""
    policy: Path | None = None
    thresholds: Path | None = None
    python: str = ""
    cache: int | None = None
    trusting: Trusting = Trusting.RECORDED

    def settings(self, settings: Settings) -> Settings:
        """Settings of a replay: these versions, its own priority and deadline at Triton.

        Raises:
            InvalidSettings: a model that is not NAME:VERSION, or a file that is not there.
        """
        own = settings.model_copy(deep=True)
        triton = own.triton
        triton.priority, triton.deadline_s = settings.replay.priority, settings.replay.deadline_s
        if self.coder:
            triton.coder, triton.coder_version = _model(self.coder)
        if self.underlying:
            triton.underlying, triton.underlying_version = _model(self.underlying)
        for name, path in (("policy", self.policy), ("thresholds", self.thresholds)):
            if path is not None:
                if not path.is_file():
                    raise InvalidSettings(f"{path} is not there", hint=f"--{name} names a file")
                setattr(own, name, path.resolve())
        if self.cache is not None:
            own.worker.cache_lines = self.cache
        return own

    def record(self) -> dict[str, Any]:
        """JSON mapping; `read` is its inverse."""
        return {
            "coder": self.coder, "underlying": self.underlying, "policy": str(self.policy or ""),
            "thresholds": str(self.thresholds or ""), "python": self.python, "trusting": self.trusting.value,
        }  # fmt: skip

    @classmethod
    def read(cls, record: dict[str, Any]) -> Speaking:
        """Versions of their JSON mapping."""
        files = {name: Path(record[name]) if record[name] else None for name in ("policy", "thresholds")}
        return cls(
            record["coder"], record["underlying"], files["policy"], files["thresholds"], record["python"],
            trusting=Trusting(record["trusting"]),
        )  # fmt: skip


def _model(text: str) -> tuple[str, str]:
    name, colon, version = text.rpartition(":")
    if not colon or not name or not version:
        raise InvalidSettings(f"{text} names no model", hint="NAME:VERSION, such as coder:1")
    return name, version


def logged_in(settings: Settings, login: Login, setting: str) -> Settings:
    """Settings with a shell's own login to Kafka.

    Args:
        settings: of this process.
        login: the shell's own.
        setting: its name, to tell whoever has not set it.

    Raises:
        InvalidSettings: Kafka asks for a login, and the shell has none of its own.
    """
    if not login.mechanism:
        if settings.kafka.sasl.mechanism:
            raise InvalidSettings(
                f"Kafka asks for a login, and {setting} is not set: the live one must not be used here",
                hint=f"CAUSA_{setting.upper().replace('.', '__')}__MECHANISM, __USERNAME, __PASSWORD; roles: causa topics acl",
            )
        return settings
    own = settings.model_copy(deep=True)
    own.kafka.sasl = Sasl(mechanism=login.mechanism, username=login.username, password=login.password)
    return own
