"""How every Kafka client of Causa connects: one reading of the settings for producers, consumers and admins."""

from __future__ import annotations

from typing import Any

from aiokafka import codec

from stream.settings import Settings


def client_options(settings: Settings, bootstrap: str) -> dict[str, Any]:
    """Keyword arguments of an aiokafka client: addresses, encryption, login and the longest wait for one answer.

    Args:
        settings: TLS and login are those of `settings.kafka`; they hold for an external broker only.
        bootstrap: where the broker answers, ``host:port`` with commas between; `settings.kafka.bootstrap`, or the
            address of the embedded broker, which speaks plain text on the loopback interface.

    Raises:
        InvalidSettings: a file of the TLS settings cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": bootstrap,
        "request_timeout_ms": round(settings.kafka.request_timeout_s * 1000),
        "client_id": "causa",
    }
    if not settings.kafka.bootstrap:
        return options
    context, sasl = settings.kafka.tls.context(), settings.kafka.sasl
    if context is not None:
        options["ssl_context"] = context
    if sasl.mechanism:
        options["sasl_mechanism"] = sasl.mechanism
        options["sasl_plain_username"] = sasl.username
        options["sasl_plain_password"] = sasl.password.get_secret_value()
    options["security_protocol"] = ("SASL_" if sasl.mechanism else "") + ("SSL" if context else "PLAINTEXT")
    return options


def compression() -> str:
    """Best compression that this installation can write: lz4 where its library is there, else gzip."""
    return "lz4" if codec.has_lz4() else "gzip"
