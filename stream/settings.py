"""All settings, read from the environment (`CAUSA_…`, nested by `__`) or a `.env` file.

Examples: ``CAUSA_KAFKA__BOOTSTRAP=broker1:9093,broker2:9093``, ``CAUSA_TRITON__URL=triton:8001``,
``CAUSA_WORKER__BATCH_MAX=128``. With neither broker nor Triton named, the embedded servers are used.
"""

from __future__ import annotations

import os
import re
import ssl
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from stream.errors import InvalidSettings
from stream.secrets import SecretFiles, secrets_of
from stream.services import DatabaseUrl, Desk, Replay, Surveillance, Web

REPOSITORY = Path(__file__).resolve().parent.parent
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_PORTS = range(1, 65_536)


class Tls(BaseModel):
    """Files of a TLS connection; empty fields mean the system's trust store and no client certificate."""

    enabled: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """Client context, or None when TLS is off.

        Raises:
            InvalidSettings: a named file is missing or is no PEM.
        """
        if not self.enabled:
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
            if self.cert_file:
                context.load_cert_chain(str(self.cert_file), str(self.key_file) if self.key_file else None)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSettings(f"TLS files cannot be read: {error.strerror or type(error).__name__}") from error
        return context


class Sasl(BaseModel):
    """Login to Kafka; empty mechanism means none."""

    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    username: str = ""
    password: SecretStr = SecretStr("")


class Topics(BaseModel):
    """Names of the topics; their retention, cleanup and keys are declared in `stream/topics.yaml`."""

    certificates: str = "certificates"
    coded: str = "coded"
    manual: str = "manual"
    corrections: str = "corrections"
    alerts: str = "alerts"
    dead_letters: str = "dead-letters"
    automation: str = "automation"


class Kafka(BaseModel):
    """The broker; an empty bootstrap means the embedded one."""

    bootstrap: str = ""
    tls: Tls = Tls()
    sasl: Sasl = Sasl()
    topics: Topics = Topics()
    partitions: int = Field(4, ge=1)
    replication: int = Field(1, ge=1)
    request_timeout_s: float = Field(20.0, gt=0)

    @field_validator("bootstrap")
    @classmethod
    def _addresses(cls, value: str) -> str:
        addresses = [address.strip() for address in value.split(",")] if value.strip() else []
        for address in addresses:
            found = _ADDRESS.fullmatch(address)
            if found is None or int(found[1]) not in _PORTS:
                raise ValueError("is not host:port[,host:port]")
        return ",".join(addresses)


class Triton(BaseModel):
    """The model server; an empty url means the embedded one."""

    url: str = ""
    tls: Tls = Tls()
    coder: str = "coder"
    coder_version: str = "1"
    underlying: str = "underlying"
    underlying_version: str = "1"
    deadline_s: float = Field(10.0, gt=0, description="gRPC deadline of one request, seconds")
    priority: int = Field(0, ge=0, description="level in the model's queue, 1 first; 0 is the model's default level")
    model_repo: Path = REPOSITORY / "model_repo"


class Registry(BaseModel):
    """Schema registry; an empty url means the local file beside the schemas."""

    url: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    schemas: Path = REPOSITORY / "schemas"


class Retry(BaseModel):
    """Backoff of a call to the model: exponential with full jitter."""

    first_s: float = Field(0.1, gt=0)
    max_s: float = Field(5.0, gt=0)
    attempts: int = Field(6, ge=1, description="tries before the batch counts as failing and the canary is asked")


class Breaker(BaseModel):
    """Circuit breaker of the model: opens after `failures` in a row, probes again after `probe_s`."""

    failures: int = Field(5, ge=1)
    probe_s: float = Field(2.0, gt=0)


class Worker(BaseModel):
    """The coding worker."""

    group: str = "causa"
    delivery: Literal["exactly_once", "at_least_once"] = Field(
        "exactly_once", description="results and offsets in one transaction, or offsets behind results"
    )
    instance: str = Field("", description="static membership id; empty for a dynamic member")
    batch_max: int = Field(64, ge=1, description="certificates in a micro-batch")
    batch_wait_s: float = Field(0.05, gt=0, description="longest wait for a batch to fill")
    in_flight: int = Field(12, ge=1, description="micro-batches under way at once; more wait, and Kafka with them")
    cache_lines: int = Field(
        50_000,
        ge=0,
        description="lines whose answers are remembered, of one model version (the rules' work on 10,000); 0 is off",
    )
    session_timeout_s: float = Field(20.0, gt=0)
    stop_s: float = Field(15.0, gt=0, description="time to finish what is in flight after SIGTERM")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Prometheus port; 0 is off")
    retry: Retry = Retry()
    breaker: Breaker = Breaker()


class Limits(BaseModel):
    """What a certificate may hold; beyond it is a dead letter."""

    line_chars: int = Field(2_000, ge=1)
    chars: int = Field(10_000, ge=1, description="characters of all texts together")
    lines: int = Field(30, ge=1)


class Sealing(BaseModel):
    """Encryption of text at rest in topics (`stream.sealing`); with no key at all text stays plain.

    Keys are 32 bytes in base64, by an id. With key-encryption keys set each certificate has a key of its own in a store;
    `keys` then only open what they sealed before.
    """

    keks: dict[str, SecretStr] = Field({}, description="key-encryption keys: they wrap the certificates' own keys")
    kek: str = Field("", description="id of the one that wraps; empty with keks set means the first")
    store: DatabaseUrl = Field(
        "", description="sqlite:///PATH or postgresql://USER@HOST/BASE, without a password; empty is a file in `home`"
    )
    store_password: SecretStr = SecretStr("")
    store_timeout_s: float = Field(5.0, gt=0)
    keys: dict[str, SecretStr] = {}
    active: str = Field("", description="id of the key of `keys` that seals where there is no key-encryption key")


class Settings(BaseSettings):
    """Root of the settings."""

    model_config = SettingsConfigDict(
        env_prefix="CAUSA_", env_nested_delimiter="__", env_file=".env", extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(Path(".causa"), description="data, logs and installs of the embedded servers")
    kafka: Kafka = Kafka()
    triton: Triton = Triton()
    registry: Registry = Registry()
    worker: Worker = Worker()
    limits: Limits = Limits()
    sealing: Sealing = Sealing()
    surveillance: Surveillance = Surveillance()
    desk: Desk = Desk()
    web: Web = Web()
    replay: Replay = Replay()
    audit_key: SecretStr = Field(
        SecretStr(""), description="key of the audit's draw; empty makes the draw predictable, fit for trials only"
    )
    policy: Path = Path(__file__).resolve().parent / "targeting" / "policy.yaml"
    thresholds: Path | None = Field(
        Path(__file__).resolve().parent / "targeting" / "thresholds.yaml",
        description="made by `causa calibrate`; none at all sends every certificate to a person",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.sealing.kek and self.sealing.kek not in self.sealing.keks:
            raise ValueError("sealing.kek names no key of sealing.keks")
        if self.sealing.active and self.sealing.active not in self.sealing.keys:
            raise ValueError("sealing.active names no key of sealing.keys")
        if self.kafka.sasl.mechanism and not self.kafka.sasl.username:
            raise ValueError("kafka.sasl.mechanism is set without kafka.sasl.username")
        if (self.kafka.sasl.mechanism or self.kafka.tls.enabled) and not self.kafka.bootstrap:
            raise ValueError("kafka.sasl/tls need kafka.bootstrap: the embedded broker has neither")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Any secret may stand in a file instead: ``CAUSA_…_FILE`` names it."""
        files = SecretFiles(settings_cls, secrets_of(cls), (env_settings, dotenv_settings))
        return init_settings, env_settings, dotenv_settings, files, file_secret_settings

    @cached_property
    def root(self) -> Path:
        """`home`, absolute, so that servers and children agree on it whatever their folder."""
        return self.home.expanduser().resolve()


def load() -> Settings:
    """Settings of this process.

    Raises:
        InvalidSettings: a value is out of its domain; the message names the setting, never its value.
    """
    try:
        return Settings()
    except SettingsError as error:
        # Its message names the group of settings alone: the variables that are set there are told beside it.
        group = re.search(r'field "(\w+)"', str(error))
        prefix = f"CAUSA_{group[1]}" if group else "CAUSA_"
        names = sorted(name for name in os.environ if name.upper().startswith(prefix.upper()))
        told = f"a value is not as it should be among {', '.join(names) or prefix}"
        raise InvalidSettings(told, hint="lists and mappings are written as JSON") from None
    except ValidationError as error:
        faults = "; ".join(f"{'__'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        raise InvalidSettings(faults, hint="see `CAUSA_…` in README, Settings") from None
