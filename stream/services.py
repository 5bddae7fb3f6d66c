"""Settings of the services beside the worker: surveillance, coding desk, their pages, the replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr


def database_url(value: str) -> str:
    """A database's address, as it is; empty stands for a file in `home`.

    Raises:
        ValueError: another kind of database, or a password in it.
    """
    address = urlsplit(value)
    if value and not (value.startswith("sqlite:///") or (address.scheme == "postgresql" and address.hostname)):
        raise ValueError("is neither sqlite:///PATH nor postgresql://USER@HOST/BASE")
    if address.password or "password" in parse_qs(address.query):
        raise ValueError("holds a password: it belongs in sealing.store_password, or database.password of the service")
    return value


DatabaseUrl = Annotated[str, AfterValidator(database_url)]


class Database(BaseModel):
    """Where a service keeps its tables; an empty url means an SQLite file in `home`."""

    url: DatabaseUrl = ""
    password: SecretStr = SecretStr("")
    timeout_s: float = Field(10.0, gt=0, description="longest wait for a connection, a lock or a statement")


class Oidc(BaseModel):
    """Login at an OpenID provider; an empty issuer means none. Its fields are told in docs/web.md."""

    issuer: str = Field("", description="its address, as it stands in `iss`; https, or http on the loopback")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    scopes: str = "openid profile"
    roles_claim: str = Field("roles", description="claim of the ID token that holds roles; dots lead into objects")
    roles: dict[str, str] = Field({}, description="value of that claim: our role; empty takes values that are roles")
    name_claim: str = "name"
    required_acr: str = Field(
        "", description="authentication class that the provider must tell, such as one of two factors"
    )
    timeout_s: float = Field(10.0, gt=0)


class Web(BaseModel):
    """What all page servers share."""

    tls_cert: Path | None = Field(None, description="certificate chain, PEM; none is plain http, on the loopback only")
    tls_key: Path | None = None
    trusted_proxies: list[str] = Field([], description="addresses of reverse proxies whose X-Forwarded-For is believed")
    idle_s: int = Field(1_800, ge=60, description="a session that nobody used for so long is over")
    absolute_s: int = Field(43_200, ge=60, description="a session is over after so long, used or not")
    body_bytes: int = Field(1_048_576, ge=1_024, description="longest body of a request")
    requests_a_minute: int = Field(1_200, ge=10, description="by a person, and by an address without a session")
    local_accounts: bool = Field(True, description="logins by password; off where all come by OpenID")
    password_chars: int = Field(12, ge=8, le=64, description="least length of a password")
    language: Literal["fr", "en"] = Field("fr", description="for browsers that name neither")
    zone: str = Field("Europe/Paris", description="time zone of the times on pages")
    oidc: Oidc = Oidc()


class Pages(BaseModel):
    """Where one service's pages are served."""

    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65_535, description="0 is any that is free")
    public_url: str = Field(
        "", description="as browsers name it: https://desk.example.fr; empty where they come straight"
    )


class Mail(BaseModel):
    """The server that takes e-mail, and who gets the alerts."""

    host: str = Field("", description="empty sends no e-mail")
    port: int = Field(587, ge=1, le=65_535)
    security: Literal["starttls", "tls", "plain"] = "starttls"
    ca_file: Path | None = Field(
        None, description="authority of the server's certificate, where it is none of the system's"
    )
    username: str = ""
    password: SecretStr = SecretStr("")
    sender: str = Field("", description="address that alerts come from")
    to: dict[str, list[str]] = Field({}, description="addresses by name of the sink in the rules of alerting")
    timeout_s: float = Field(20.0, gt=0)


class Alerts(BaseModel):
    """Detection, and who hears of alerts. Sinks bear the names that `alerts.yaml` gives them."""

    rules: Path | None = Field(None, description="alerts.yaml of the office; the packaged one where none is named")
    every_s: float = Field(3600.0, gt=0, description="between two runs of detection")
    webhooks: dict[str, SecretStr] = Field({}, description="addresses by name of the sink: they may hold a token")
    webhook_keys: dict[str, SecretStr] = Field({}, description="keys of their signatures, likewise")
    webhook_ca_file: Path | None = Field(None, description="authority of the receivers' certificates, likewise")
    webhook_timeout_s: float = Field(10.0, gt=0)
    mail: Mail = Mail()
    metrics_port: int = Field(0, ge=0, le=65_535, description="Prometheus and health pages; 0 is off")
    stop_s: float = Field(10.0, gt=0, description="time to finish what is under way after SIGTERM")


class Surveillance(BaseModel):
    """Counts, alerts and their pages."""

    database: Database = Database()
    alerts: Alerts = Alerts()
    pages: Pages = Pages(port=8470)


class Desk(BaseModel):
    """The coding desk."""

    database: Database = Database()
    pages: Pages = Pages(port=8480)
    lease_s: float = Field(
        120.0, gt=0, description="a certificate goes back to the queue so long after the last heartbeat"
    )
    beat_s: float = Field(20.0, gt=0, description="a browser's heartbeat while a certificate is on its screen")
    most_held: int = Field(3, ge=1, description="certificates that one person may hold")
    second_share: float = Field(0.02, ge=0, le=1, description="first codings drawn for a second opinion")
    key: SecretStr = Field(
        SecretStr(""),
        description="keys the index of identical texts; empty is made once and kept in `home`: one machine alone",
    )
    reasons: Path | None = Field(
        None, description="file of the office's own reasons instead of stream/desk/reasons.yaml"
    )
    metrics_port: int = Field(0, ge=0, le=65_535, description="Prometheus and health pages; 0 is off")


class Login(BaseModel):
    """A login to Kafka of a shell's own; an empty mechanism means that of `kafka.sasl`."""

    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    username: str = ""
    password: SecretStr = SecretStr("")


class Replay(BaseModel):
    """Replays of topics, recodes, repairs and traces; each logs in to Kafka as a user of its own."""

    login: Login = Login()
    recode_login: Login = Login()
    repair_login: Login = Login()
    trace_login: Login = Login()
    priority: int = Field(2, ge=0, description="level at Triton; live requests have 1, which goes first")
    in_flight: int = Field(2, ge=1, description="batches of a replay that are coded at once")
    batch_max: int = Field(64, ge=1, description="certificates in a batch, and in a transaction")
    deadline_s: float = Field(
        60.0, gt=0, description="gRPC deadline of a request, which live ones may hold up, seconds"
    )
    nice: int = Field(10, ge=0, le=19, description="how far the process steps back from the processor")
    people: Path | None = Field(None, description="who may propose and approve a recode: name, role, public key (TSV)")
