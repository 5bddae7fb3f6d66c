"""Another installation of Causa as the voice of a replay: its rules, lexicon and tables, driven over its `causa code -`.

What it is given and what it answers are the JSON lines of that command, over pipes: nothing is written to a disk. It asks
the same Triton, for the models that the replay names. What only Kafka knows is added here: origin, content hash as received.
Each batch has a process of its own, so that one that dies costs one batch, which is given to the next.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import structlog

from stream.certificate import Certificate, certificate_json, read_certificate, utc_now
from stream.coding import Automation, CodedCertificate, coded_record, dead_letter_record, read_coded
from stream.errors import CausaError, CoreFailed, InfrastructureError, InputError, InvalidSettings, ModelUnavailable
from stream.pipeline.letters import dead_letter
from stream.pipeline.record import Decision, Incoming, Outgoing, Received
from stream.sealing import Keyring
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.holding import Keys

AT_ONCE = 2_000
"""Certificates for one process: its start costs as much as coding a thousand."""
TRIES = 3
HOLD_S = 2.0

log = structlog.get_logger("causa.replay")


class Told(InputError):
    """An error that the other installation told."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OtherRelease:
    """See `Voice`.

    Args:
        python: interpreter of the other installation.
        settings: of the replay.
        wire: codec of this one.
        url: Triton's address.
        keys: certificates' own keys.
        clock: now, for tests.
    """

    def __init__(
        self,
        python: str,
        settings: Settings,
        wire: Wire,
        url: str,
        keys: Keys | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._python, self._settings, self._wire, self._url = python, settings, wire, url
        self._keys, self._clock = keys, clock
        self._plain = Keyring(settings.sealing)
        self._versions: dict[str, str] = {}

    def versions(self) -> dict[str, str]:
        """See `Voice.versions`."""
        return self._versions or {"python": self._python}

    async def code(self, batch: Sequence[Incoming], levels: Sequence[Automation | None]) -> list[Decision]:
        """See `Voice.code`; a file is always coded at NORMAL automation, so that `levels` says nothing here."""
        del levels
        received = [self._received(incoming) for incoming in batch]
        keyring = await self._keys.keyring({r.owner for r in received}) if self._keys else self._plain
        opened = [self._opened(one, keyring) for one in received]
        good = [certificate for certificate in opened if isinstance(certificate, Certificate)]
        answers = iter(await self._answers(good))
        return [
            self._decision(one, certificate if isinstance(certificate, InputError) else next(answers), keyring)
            for one, certificate in zip(received, opened, strict=True)
        ]

    def _received(self, incoming: Incoming) -> Received:
        limits = self._settings.limits
        try:
            value = self._wire.decode("certificates", incoming.value)
            found = read_certificate(value, line_chars=limits.line_chars, lines=limits.lines, chars=limits.chars)
            return Received(incoming, found)
        except InputError as error:
            return Received(incoming, None, error)

    @staticmethod
    def _opened(received: Received, keyring: Keyring) -> Certificate | InputError:
        if received.certificate is None:
            return received.error or CoreFailed("no certificate")
        try:
            keyring.check(received.certificate.certificate_id)
            return keyring.open(received.certificate)
        except InputError as error:
            return error

    async def _answers(self, certificates: Sequence[Certificate]) -> list[CodedCertificate | InputError]:
        """One answer for each certificate, in order.

        Raises:
            InvalidSettings: the other installation does not answer as it should, again and again.
        """
        if not certificates:
            return []
        given = "".join(json.dumps(certificate_json(c), ensure_ascii=False) + "\n" for c in certificates).encode()
        fault: CausaError = InvalidSettings("")
        for attempt in range(TRIES):
            try:
                return await self._asked(given, len(certificates))
            except InfrastructureError as error:
                fault = error
                log.warning("the other installation does not answer", code=error.code, reason=error.message)
                await asyncio.sleep(HOLD_S * attempt)
        raise InvalidSettings(
            f"{self._python}: {fault.message}", hint="does `PYTHON -m stream.cli.main code` work there?"
        )

    async def _asked(self, given: bytes, number: int) -> list[CodedCertificate | InputError]:
        with tempfile.TemporaryDirectory(prefix="causa-replay-") as folder:  # no settings file lies there
            process = await asyncio.create_subprocess_exec(
                self._python, "-m", "stream.cli.main", "code", "-", env=self._environment(folder), cwd=folder,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                out, said = await process.communicate(given)
            except BaseException:
                process.kill()
                raise
        lines = out.splitlines()
        if process.returncode not in (0, 1) or len(lines) != number:
            last = said.decode(errors="replace").strip().splitlines()[-1:] or [""]
            told = last[0][:200] if last[0].isprintable() else ""
            raise ModelUnavailable(f"exit {process.returncode}, {len(lines)} answers for {number}: {told}")
        return [self._read(json.loads(line)) for line in lines]

    def _read(self, answer: Mapping[str, Any]) -> CodedCertificate | InputError:
        if "error" in answer:
            return Told(str(answer["error"]["code"]), str(answer["error"]["message"]))
        try:
            coded = read_coded(answer)
        except ValueError:
            raise InvalidSettings(f"{self._python} answers what this release cannot read") from None
        if coded.versions.coder:
            self._versions = asdict(coded.versions)
        return coded

    def _environment(self, folder: str) -> dict[str, str]:
        """What the other process needs to know, and none of Kafka's or the key store's secrets."""
        settings, triton = self._settings, self._settings.triton
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("CAUSA_") and k != "PYTHONPATH"}
        named = {
            "HOME": folder, "AUDIT_KEY": settings.audit_key.get_secret_value(), "TRITON__URL": self._url,
            "TRITON__CODER": triton.coder, "TRITON__CODER_VERSION": triton.coder_version,
            "TRITON__UNDERLYING": triton.underlying, "TRITON__UNDERLYING_VERSION": triton.underlying_version,
            "TRITON__DEADLINE_S": str(triton.deadline_s), "TRITON__PRIORITY": str(triton.priority),
            "TRITON__TLS__ENABLED": str(triton.tls.enabled).lower(),
            **{f"TRITON__TLS__{n.upper()}": str(v) for n in ("ca_file", "cert_file", "key_file") if (v := getattr(triton.tls, n))},
            **{f"LIMITS__{n.upper()}": str(v) for n, v in settings.limits.model_dump().items()},
        }  # fmt: skip
        # Without a file named for this replay the other installation keeps its own.
        for name in ("policy", "thresholds"):
            path = getattr(settings, name)
            if path is not None and path != type(settings).model_fields[name].default:
                named[name.upper()] = str(path)
        return {**kept, **{f"CAUSA_{name}": value for name, value in named.items()}, "PYTHONUNBUFFERED": "1"}

    def _decision(self, received: Received, answer: CodedCertificate | InputError, keyring: Keyring) -> Decision:
        incoming = received.incoming
        if isinstance(answer, InputError):
            return refused(received, answer, keyring, self._wire, self._clock())
        assert received.certificate is not None
        coded = replace(answer, origin=incoming.origin, content_hash=received.certificate.content_hash)
        record = Outgoing("coded", coded.certificate_id.encode(), self._wire.encode("coded", coded_record(coded)))
        return Decision(incoming, (record,), coded)

    async def close(self) -> None:
        """See `Voice.close`: each batch's process has ended with it."""


def refused(received: Received, error: InputError, keyring: Keyring, wire: Wire, now: datetime) -> Decision:
    """The dead letter of a record: its bytes as they came, sealed when keys are set, and the error's code."""
    letter = dead_letter(received, error, now, keyring)
    record = Outgoing("dead-letters", letter.key, wire.encode("dead-letters", dead_letter_record(letter)))
    return Decision(received.incoming, (record,), letter=letter)
