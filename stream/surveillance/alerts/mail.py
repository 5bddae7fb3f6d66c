"""Alerts by e-mail: what is due at one time in one message, since forty at once are read by nobody.

A message names groups, places, days and numbers, and no certificate. It says where to look, not what was written.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate

from stream.errors import InvalidSettings
from stream.services import Mail
from stream.settings import Tls
from stream.surveillance.alerts.clauses import Hearing
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.sinks import Message, NotTaken, Refused
from stream.surveillance.alerts.words import body, subject

REFUSAL, LOGIN = 550, (530, 534, 535, 538)
"""Answers from here on speak against the message for good, but for those to the login, which a person may mend."""


class MailSink:
    """See `sinks.Sink`.

    Args:
        name: of the sink; its addresses stand in the settings under it.
        settings: server, login, sender, addresses.
        hearing: language, and whether figures and places are told.
        rules: names of groups and places.
        link: address of the page of an alert, with ``{id}`` in it; empty for none.

    Raises:
        InvalidSettings: no sender, no address, or a file that cannot be read.
    """

    most = 25

    def __init__(self, name: str, settings: Mail, hearing: Hearing, rules: Rules, link: str = "") -> None:
        self.name, self._settings, self._hearing, self._rules, self._link = name, settings, hearing, rules, link
        self._to = settings.to.get(name, [])
        if not settings.sender or not self._to:
            raise InvalidSettings(
                f"mail to {name}: a sender and an address are needed",
                hint="CAUSA_SURVEILLANCE__ALERTS__MAIL__SENDER, __MAIL__TO",
            )
        self._context = Tls(enabled=True, ca_file=settings.ca_file).context()

    async def send(self, messages: Sequence[Message]) -> None:
        """See `sinks.Sink.send`."""
        await asyncio.to_thread(self._send, self.written(messages))

    async def close(self) -> None:
        """See `sinks.Sink.close`: each message has a connection of its own."""

    def written(self, messages: Sequence[Message]) -> EmailMessage:
        """The e-mail for some messages."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self._settings.sender, ", ".join(self._to)
        mail["Subject"] = subject(messages, self._hearing, self._rules)
        mail["Date"] = formatdate(localtime=False)
        # The same for the same messages: whoever gets them twice can tell.
        name = hashlib.blake2b("\n".join(message.id for message in messages).encode(), digest_size=16).hexdigest()
        mail["Message-ID"] = f"<{name}@{self._settings.sender.rpartition('@')[2].strip('> ')}>"
        mail["Auto-Submitted"] = "auto-generated"
        if max(message.alert.level for message in messages) >= URGENT:
            mail["X-Priority"], mail["Importance"] = "1", "high"
        mail.set_content(body(messages, self._hearing, self._rules, self._link), cte="quoted-printable")
        return mail

    def _send(self, mail: EmailMessage) -> None:
        settings = self._settings
        try:
            with self._connected() as server:
                if settings.username:
                    server.login(settings.username, settings.password.get_secret_value())
                refused = server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise (Refused if min(codes) >= REFUSAL else NotTaken)(f"SMTP {min(codes)}") from None
        except smtplib.SMTPResponseException as error:
            gone = error.smtp_code >= REFUSAL and error.smtp_code not in LOGIN
            raise (Refused if gone else NotTaken)(f"SMTP {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise NotTaken(type(error).__name__) from None
        if refused:
            # Others have it already: nobody gets it twice for the sake of an address that is wrong.
            raise Refused(f"SMTP {min(code for code, _ in refused.values())}")

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_s, context=self._context)
        server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        if settings.security == "starttls":
            try:
                server.starttls(context=self._context)
            except BaseException:
                server.close()
                raise
        return server


URGENT = 7
"""Level from which a message says that it is urgent."""
