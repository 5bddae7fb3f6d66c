"""A broker that asks who one is: TLS, users with passwords (SCRAM), and rights that nobody has before they are given.

For tests of what production demands; on one machine the plain embedded broker does.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stream.embedded.ports import HOST

ADMINISTRATOR = "admin"
_ITERATIONS = 8_192


@dataclass(frozen=True, slots=True)
class Security:
    """What a broker's secure listener is made of.

    The listener `secure` speaks TLS and knows users; the broker talks to itself over others, with its certificate. The
    plain listener `client` stays for the question whether the broker is ready; whoever comes by it has no right at all.

    Attributes:
        certificate: PEM of the broker's private key (PKCS 8, without a password) and certificate, for `HOST`.
        authority: PEM of the authority that signed it, and that signs whom the broker trusts to be itself.
        subject: distinguished name of the certificate as Kafka writes it, ``CN=broker``.
        users: passwords by name; the user `ADMINISTRATOR` is made in any case, and may do everything.
        password: of the administrator.
    """

    certificate: Path
    authority: Path
    subject: str
    password: str = field(repr=False)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)

    def configuration(self) -> dict[str, str]:
        """Lines of server.properties."""
        listeners = {
            "PLAINTEXT": ("client", "PLAINTEXT"),
            "SECURE": ("secure", "SASL_SSL"),
            "BROKER": ("broker", "SSL"),
            "CONTROLLER": ("controller", "SSL"),
        }
        stores = {
            "ssl.keystore.type": "PEM", "ssl.keystore.location": str(self.certificate),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.authority),
        }  # fmt: skip
        return {
            "listeners": ",".join(f"{name}://{HOST}:{{{port}}}" for name, (port, _) in listeners.items()),
            "advertised.listeners": ",".join(
                f"{name}://{HOST}:{{{port}}}" for name, (port, _) in listeners.items() if name != "CONTROLLER"
            ),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, (_, kind) in listeners.items()),
            "inter.broker.listener.name": "BROKER",
            **stores,
            "listener.name.broker.ssl.client.auth": "required",
            "listener.name.controller.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secure.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{ADMINISTRATOR};User:{self.subject}",
        }

    def credentials(self) -> Iterator[str]:
        """Arguments that make the users while the data folder is formatted; no password is in them."""
        for name, password in {**self.users, ADMINISTRATOR: self.password}.items():
            salt = os.urandom(16)
            salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
            yield "--add-scram"
            yield (
                f"SCRAM-SHA-512=[name={name},iterations={_ITERATIONS},salt={base64.b64encode(salt).decode()},"
                f"saltedpassword={base64.b64encode(salted).decode()}]"
            )
