"""Every error that Causa raises on purpose.

::

    CausaError
    ├── InputError              one record is at fault: it becomes a dead letter, its neighbours go on
    │   ├── BadFrame            not a Confluent-framed message (magic byte, length)
    │   ├── UnknownSchema       the schema id is in no registry
    │   ├── BadAvro             the bytes do not decode under their schema
    │   ├── InvalidCertificate  a field is missing or out of its domain
    │   ├── InvalidCorrection   a coder's decision that cannot be made a record of
    │   ├── EmptyCertificate    no text in Part I nor Part II
    │   ├── OversizedText       a line, or their number, is over the limits
    │   ├── SealedUnreadable    sealed text whose key is absent or that was tampered with
    │   ├── Shredded            its key was destroyed on purpose: its text is kept nowhere any more
    │   ├── ModelRejected       the model fails on this certificate alone while a canary succeeds
    │   └── CoreFailed          our own code fails on this record: a fault to mend, told by its place alone
    ├── InfrastructureError     the world is at fault: the stream holds, nothing is dead-lettered
    │   ├── ModelUnavailable    Triton is down, overloaded or too slow
    │   ├── ModelMisconfigured  the pinned model or version is not served
    │   ├── ModelFault          the model answers with an error or with nonsense (wrong shape, no number)
    │   ├── RegistryUnavailable the schema registry does not answer
    │   ├── BrokerUnavailable   Kafka does not answer
    │   ├── KeysUnavailable     the key store does not answer, or its keys do not open
    │   ├── DatabaseUnavailable a service's database does not answer, or another transaction was in the way
    │   ├── ProviderUnavailable the OpenID provider does not answer, or with nonsense
    │   ├── Overtaken           another process does the same work, and was first
    │   └── SkippedRecords      a partition was delivered with records missing: the process must start again
    ├── Refused                 what somebody asked for is not done, and nothing is changed (`stream.desk.refusals`)
    └── SetupError              a person must act: one line and a hint on the screen, exit status 2
        ├── InvalidSettings     settings that contradict one another
        │   └── WeakPassword    a password that nobody should have
        ├── InvalidData         a lexicon, rule or policy file that does not pass its validation
        └── EmbeddedServerError a local server could not be started or died

No message holds certificate text: an InputError names fields and limits, never values.
"""

from __future__ import annotations

import traceback


class CausaError(Exception):
    """Base of all of Causa's errors.

    Attributes:
        code: stable identifier in capitals, for dead letters, metrics and tests.
        hint: what a person may do next; empty when there is nothing to say.
    """

    code = "CAUSA"

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(CausaError):
    """One record is at fault; it goes to the dead letters with `code`."""

    code = "INPUT"


class BadFrame(InputError):
    """The bytes do not begin with the Confluent frame (magic byte 0, four bytes of schema id)."""

    code = "BAD_FRAME"


class UnknownSchema(InputError):
    """The frame names a schema that the registry does not know."""

    code = "UNKNOWN_SCHEMA"


class BadAvro(InputError):
    """The payload does not decode under the schema that its frame names."""

    code = "BAD_AVRO"


class InvalidCertificate(InputError):
    """A field is missing, of the wrong type or outside its domain."""

    code = "INVALID_CERTIFICATE"


class InvalidCorrection(InputError):
    """A coder's decision lacks a field, or its result is not what it may make of the certificate version."""

    code = "INVALID_CORRECTION"


class EmptyCertificate(InputError):
    """Neither Part I nor Part II holds any text."""

    code = "EMPTY_CERTIFICATE"


class OversizedText(InputError):
    """A line is longer, or the lines are more, than the limits allow."""

    code = "OVERSIZED_TEXT"


class SealedUnreadable(InputError):
    """Sealed text that none of the configured keys opens."""

    code = "SEALED_UNREADABLE"


class Shredded(InputError):
    """The certificate's key was destroyed on purpose; nothing more is read of it, and no new key is made."""

    code = "SHREDDED"


class ModelRejected(InputError):
    """The model fails on this certificate, alone, again and again, while a canary line succeeds."""

    code = "MODEL_REJECTED"


class CoreFailed(InputError):
    """Our own code fails on this record. The record is kept whole as a dead letter, and the stream goes on."""

    code = "CORE_FAILED"

    @classmethod
    def of(cls, fault: Exception) -> CoreFailed:
        """The error for an unexpected exception: its type and place; its message might quote the record."""
        frames = traceback.extract_tb(fault.__traceback__)
        at = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
        return cls(f"{type(fault).__name__} at {at}")


class InfrastructureError(CausaError):
    """A server is at fault: retry, then hold the partition; never dead-letter."""

    code = "INFRASTRUCTURE"


class ModelUnavailable(InfrastructureError):
    """Triton does not answer in time (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED)."""

    code = "MODEL_UNAVAILABLE"


class ModelMisconfigured(InfrastructureError):
    """Triton answers, but does not serve the pinned model or version: a rollout fault."""

    code = "MODEL_MISCONFIGURED"


class ModelFault(InfrastructureError):
    """The model answers this request with an error or with nonsense: the request may be its own cause."""

    code = "MODEL_FAULT"


class RegistryUnavailable(InfrastructureError):
    """The schema registry does not answer; a schema cannot be said to be unknown."""

    code = "REGISTRY_UNAVAILABLE"


class BrokerUnavailable(InfrastructureError):
    """Kafka does not answer."""

    code = "BROKER_UNAVAILABLE"


class KeysUnavailable(InfrastructureError):
    """The key store does not answer, or the settings lack the key that its keys are wrapped under."""

    code = "KEYS_UNAVAILABLE"


class DatabaseUnavailable(InfrastructureError):
    """A service's database is away, refuses, is too slow, or another transaction was in the way."""

    code = "DATABASE_UNAVAILABLE"


class ProviderUnavailable(InfrastructureError):
    """The OpenID provider does not answer, or answers with nonsense."""

    code = "PROVIDER_UNAVAILABLE"


class Overtaken(InfrastructureError):
    """Another process does the same work, and was first: it moved the offsets, or began to write under the same name."""

    code = "OVERTAKEN"


class SkippedRecords(InfrastructureError):
    """A partition was delivered with records missing in between; going on would lose them."""

    code = "SKIPPED_RECORDS"


class Refused(CausaError):
    """What somebody asked the desk for is not done; nothing was changed, and nothing that was typed is lost."""

    code = "REFUSED"


class SetupError(CausaError):
    """A person must act before the command can work."""

    code = "SETUP"


class InvalidSettings(SetupError):
    """Settings that are wrong or contradict one another."""

    code = "INVALID_SETTINGS"


class WeakPassword(InvalidSettings):
    """A password that is not taken; `reason` is the key of a text: short, long, common, simple, personal."""

    code = "WEAK_PASSWORD"

    def __init__(self, message: str = "", *, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class InvalidData(SetupError):
    """A lexicon, rule, nomenclature or policy file that does not pass its validation."""

    code = "INVALID_DATA"


class EmbeddedServerError(SetupError):
    """An embedded server could not be installed or started, or died."""

    code = "EMBEDDED_SERVER"
