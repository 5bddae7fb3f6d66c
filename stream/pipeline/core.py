"""The pure core: a record's bytes in, decisions out. No Kafka, no Triton, no clock.

It works in steps, so that a shell may ask key store and models between them in whatever batches it likes::

    received = core.receive(incoming)                           # decode
    keyring = await vault.keyring([received.owner])             # the shell's business
    prepared = core.prepare(received, now, keyring)             # open, read the lines; or a dead letter
    answers = await coder.ask(prepared.requests)                # the shell's business
    worded = core.word(prepared, answers, coder.version, now)   # code the lines, apply the rules; or a dead letter
    rankings = await ranker.ask(worded.requests)                # the shell's business
    decision = core.decide(worded, rankings, ranker.version, now)

The worker, the replay and the offline commands share it: one certificate gives one answer whichever shell asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import stream
from stream import underlying as selection
from stream.certificate import AGE_MAX, Age, AgeUnit, Certificate, Status, certificate_record, read_certificate
from stream.coder import confidence, expressions, rules
from stream.coder.coder import Coder, Proposal
from stream.coder.model import LineAnswer, LineRequest
from stream.coder.vocabulary import speller
from stream.coding import (
    Automation,
    CodedCertificate,
    CodedStatus,
    ManualTask,
    Method,
    Modality,
    Route,
    Targeting,
    TaskState,
    Underlying,
    Versions,
    coded_record,
    dead_letter_record,
    task_record,
)
from stream.errors import CoreFailed, InfrastructureError, InputError, InvalidCorrection, OversizedText
from stream.nomenclature import icd10
from stream.pipeline.folding import correction_of, folded
from stream.pipeline.letters import dead_letter, too_large
from stream.pipeline.lines import Lines, causes_of
from stream.pipeline.reading import ReadCertificate, Reader, ReadLine
from stream.pipeline.record import Decision, Incoming, Outgoing, Received
from stream.pipeline.wording import Answers, Wording
from stream.sealing import Keyring
from stream.settings import Limits, Settings
from stream.targeting import certainty, edits, policy
from stream.targeting.subject import of_certificate
from stream.targeting.target import target, unknown_share
from stream.underlying import together
from stream.underlying.case import Case
from stream.underlying.ranking import SILENT, Ranked
from stream.underlying.request import Considered, RankRequest
from stream.wire import Wire

Rankings = Mapping[RankRequest, Ranked]
_REMEMBERED = 10_000
"""Most lines kept in mind that were read, and that were coded: some kilobytes each."""
_WITHDRAWN = Considered(Case((), (), ()), Underlying(None, 0.0, steps=("withdrawn by a VOID version",)))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record that decoded: its certificate as received (texts maybe sealed) and as read (texts plain).

    `keyring` holds the keys that opened it, and that seal what goes out of it.
    """

    incoming: Incoming
    received: Certificate
    read: ReadCertificate
    keyring: Keyring

    @property
    def requests(self) -> tuple[LineRequest, ...]:
        """What must be asked of the model."""
        if self.received.status is Status.VOID:
            return ()
        return tuple(line.request for line in self.read.lines if line.request.text)


@dataclass(frozen=True, slots=True)
class Worded:
    """A certificate whose lines are coded; its underlying cause is the rules' own as yet.

    Attributes:
        prepared: what was read.
        part1, part2: coded lines.
        considered: what the rules make of the codes.
        coder: name and version of the model that tagged the lines.
    """

    prepared: Prepared
    part1: Lines
    part2: Lines
    considered: Considered
    coder: str

    @property
    def request(self) -> RankRequest | None:
        """What is asked of the ranker; None where there is nothing to choose."""
        return self.considered.request

    @property
    def requests(self) -> tuple[RankRequest, ...]:
        """What must be asked of the ranker."""
        return (self.request,) if self.request else ()


class Core:
    """The core with its knowledge: codec, coders, rules of selection, policy, keys.

    Args:
        wire: codec of all topics.
        settings: limits, sealing, policy file.

    Attributes:
        versions: of all that could change an answer, but for the models'.
        automation: how far the machine is trusted just now, by stratum of the policy; NORMAL where none is named.
    """

    def __init__(self, wire: Wire | None, settings: Settings) -> None:
        self._wire = wire
        self._keyring = Keyring(settings.sealing)
        self._limits: Limits = settings.limits
        self._audit_key = settings.audit_key.get_secret_value().encode()
        self._nomenclature = icd10.load()
        expert = rules.load()
        remembered = min(settings.worker.cache_lines, _REMEMBERED)
        self._reader = Reader(speller(), remembered)
        self._wording = Wording(expert, Coder(self._nomenclature, confidence.load()), remembered)
        self._tables = selection.load()
        self._together = together.load()
        self._edits = edits.load()
        self._certainty = certainty.load()
        self._policy = policy.load(settings.policy, settings.thresholds)
        self.automation: Mapping[str, Automation] = {}
        self.versions = Versions(
            software=stream.__version__,
            nomenclature=f"{self._nomenclature.version}+{self._edits.version}",
            lexicon=expressions.load().version,
            rules=expert.version,
            underlying=f"{self._tables.version}+{self._together.version}",
            policy=self._policy.version,
        )

    def receive(self, incoming: Incoming) -> Received:
        """Decode one record.

        Raises:
            RegistryUnavailable: the schema cannot be asked for just now.
        """
        assert self._wire is not None
        try:
            record = self._wire.decode("certificates", incoming.value)
            return Received(incoming, self.certificate(record))
        except InputError as error:
            return Received(incoming, None, error)
        except InfrastructureError:
            raise
        except Exception as fault:
            return Received(incoming, None, CoreFailed.of(fault))

    def prepare(self, received: Received, now: datetime, keyring: Keyring | None = None) -> Prepared | Decision:
        """Open and read one certificate; a record at fault comes back as its dead letter.

        Args:
            received: the record.
            now: moment of coding.
            keyring: holds its owner's key; those of the settings where it is None.
        """
        certificate, error = received.certificate, received.error
        try:
            if certificate is not None:
                return self.prepare_certificate(certificate, received.incoming, keyring)
        except InputError as fault:
            error = fault
        except Exception as fault:
            error = CoreFailed.of(fault)
        assert error is not None
        return self._reject(received, error, now, keyring or self._keyring)

    def fold(self, incoming: Incoming) -> Decision | Received:
        """The record of a coder's decision; a decision at fault comes back as received, for `prepare` to reject.

        Raises:
            RegistryUnavailable: the schema cannot be asked for just now.
        """
        assert self._wire is not None
        try:
            correction = correction_of(self._wire.decode("corrections", incoming.value))
            coded = folded(correction, incoming.key, incoming.origin, self._nomenclature)
            if coded is None:
                return Decision(incoming, ())
            record = Outgoing("coded", incoming.key, self._encode("coded", coded_record(coded)))
            if fault := too_large(record):
                return Received(incoming, None, InvalidCorrection(f"result: {fault}"))
            return Decision(incoming, (record,), coded)
        except InputError as error:
            return Received(incoming, None, error)
        except InfrastructureError:
            raise
        except Exception as fault:
            return Received(incoming, None, CoreFailed.of(fault))

    def must_ask(self, incoming: Incoming) -> bool:
        """Whether receiving a record would ask the schema registry, and so had better not be done on an event loop."""
        return self._wire is not None and self._wire.must_ask(incoming.value)

    def certificate(self, value: object) -> Certificate:
        """Certificate of a JSON or Avro mapping, within the limits.

        Raises:
            InputError: see `read_certificate`.
        """
        limits = self._limits
        return read_certificate(value, line_chars=limits.line_chars, lines=limits.lines, chars=limits.chars)

    def prepare_certificate(
        self, certificate: Certificate, incoming: Incoming, keyring: Keyring | None = None
    ) -> Prepared:
        """Read one certificate.

        Raises:
            InputError: its key was shredded; sealed text that does not open, or that is over the limits once open.
        """
        keyring = keyring or self._keyring
        if certificate.status is not Status.VOID:  # a withdrawal writes no text, and must reach what was coded before
            keyring.check(certificate.certificate_id)
        opened = keyring.open(certificate)
        if opened is not certificate:
            opened = self.certificate(certificate_record(opened))
        return Prepared(incoming, certificate, self._reader.read(opened), keyring)

    def word(self, prepared: Prepared, answers: Answers, coder: str, now: datetime) -> Worded | Decision:
        """Codes of the lines and the rules' underlying cause.

        A fault of our own code makes a dead letter of this one certificate; the stream goes on.

        Args:
            prepared: what was read.
            answers: the model's answer to each of its requests.
            coder: name and version that gave them.
            now: moment of coding.
        """
        try:
            return self.worded(prepared, answers, coder)
        except Exception as fault:
            return self.reject(prepared, CoreFailed.of(fault), now)

    def worded(self, prepared: Prepared, answers: Answers, coder: str) -> Worded:
        """As `word`, for a caller that catches for itself."""
        certificate = prepared.read.certificate
        if certificate.status is Status.VOID:
            return Worded(prepared, (), (), _WITHDRAWN, coder)
        part1, part2 = self._wording.lines(prepared.read, answers, coder)
        considered = selection.consider(causes_of(certificate, part1, part2), self._tables)
        return Worded(prepared, part1, part2, considered, coder)

    def code(self, worded: Worded, ranked: Ranked, ranker: str, now: datetime) -> tuple[CodedCertificate, float]:
        """Coded certificate, and its priority in the manual queue.

        Args:
            worded: the certificate with its lines coded.
            ranked: the ranker's answer to its request; empty where nothing was asked.
            ranker: name and version that gave it.
            now: moment of coding.
        """
        versions = replace(self.versions, coder=worded.coder, underlying=f"{self.versions.underlying}+{ranker}")
        certificate, lines = worded.prepared.read.certificate, (*worded.part1, *worded.part2)
        if certificate.status is Status.VOID:
            route = Targeting(Route.AUTO, policy=self._policy.version)
            withdrawn = CodedStatus.WITHDRAWN
            cause = worded.considered.cause
            return self._coded(worded.prepared, withdrawn, Modality.RULES, cause, route, versions, now), 0.0
        unknown = unknown_share([line.normal.raw for line in worded.prepared.read.lines], lines)
        cause = self.selected(worded, ranked)
        cause = replace(cause, confidence=self._certainty(cause, worded.part1, worded.part2, unknown))
        broken = tuple(edit.id for edit in self._edits.check(certificate, worded.part1, worded.part2, cause))
        decision = target(
            of_certificate(certificate, lines, cause, unknown, broken), self._policy, self._edits, self._audit_key,
            calibrated=self._calibrated(versions), automation=self.automation,
        )  # fmt: skip
        manual = decision.targeting.route is Route.MANUAL
        status = CodedStatus.PROVISIONAL if manual else CodedStatus.FINAL
        by_rules = all(e.method is Method.RULES for line in lines for e in line.entities)
        modality = Modality.RULES if by_rules and cause.method is Method.RULES else Modality.MODEL
        coded = self._coded(worded.prepared, status, modality, cause, decision.targeting, versions, now)
        lined = replace(coded, part1=worded.part1, part2=worded.part2, flags=decision.flags, unknown=unknown)
        return lined, decision.priority

    def _calibrated(self, versions: Versions) -> bool:
        """Whether the thresholds were fitted to the confidences of these versions."""
        return not self._policy.thresholds.strangers(versions)

    def selected(self, worded: Worded, ranked: Ranked) -> Underlying:
        """The underlying cause by rules and ranker together, with the confidence that the codes alone give it."""
        return self._together(worded.considered, ranked, self._tables)

    def decide(self, worded: Worded, rankings: Rankings, ranker: str, now: datetime) -> Decision:
        """Everything to be written for one certificate: its coded record and its manual record.

        A fault of our own code makes a dead letter of this one certificate; the stream goes on.
        """
        try:
            return self._decide(worded, rankings, ranker, now)
        except OversizedText as error:
            return self.reject(worded.prepared, error, now)
        except Exception as fault:
            return self.reject(worded.prepared, CoreFailed.of(fault), now)

    def _decide(self, worded: Worded, rankings: Rankings, ranker: str, now: datetime) -> Decision:
        ranked = rankings[worded.request] if worded.request else SILENT
        coded, priority = self.code(worded, ranked, ranker, now)
        prepared = worded.prepared
        targeting = coded.targeting
        wanted = coded.status is not CodedStatus.WITHDRAWN and (targeting.route is Route.MANUAL or targeting.audit)
        # Who codes for the audit sees no proposal, whatever the route: else the machine is measured against itself.
        blind = targeting.audit
        task = ManualTask(
            coded.certificate_id,
            coded.version,
            coded.revision,
            TaskState.OPEN if wanted else TaskState.NONE,
            targeting.reasons if wanted and not blind else (),
            priority if wanted else 0.0,
            targeting.audit and wanted,
            prepared.keyring.seal(prepared.received) if wanted else None,
            coded if wanted and not blind else None,
            now,
        )
        key = coded.certificate_id.encode()
        outgoing = (
            Outgoing("coded", key, self._encode("coded", coded_record(coded))),
            Outgoing("manual", key, self._encode("manual", task_record(task))),
        )
        if fault := next(filter(None, map(too_large, outgoing)), ""):
            raise OversizedText(fault)
        return Decision(prepared.incoming, outgoing, coded)

    def reject(self, prepared: Prepared, error: InputError, now: datetime) -> Decision:
        """The dead letter of a certificate: its bytes as they came (sealed when keys are set) and the error's code."""
        return self._reject(Received(prepared.incoming, prepared.received), error, now, prepared.keyring)

    def _reject(self, received: Received, error: InputError, now: datetime, keyring: Keyring) -> Decision:
        letter = dead_letter(received, error, now, keyring)
        record = Outgoing("dead-letters", letter.key, self._encode("dead-letters", dead_letter_record(letter)))
        return Decision(received.incoming, (record,), letter=letter)

    def silence_rules(self) -> None:
        """Code with the model alone, whatever its confidence: for measuring what each coder gives."""
        self._wording = Wording(rules.RuleCoder((), (), frozenset(), "none"), self._all())

    def silence_model(self) -> None:
        """Code with the rules alone, whatever their confidence: likewise."""
        self._wording = Wording(rules.load(), self._all())

    def _all(self) -> Coder:
        return Coder(self._nomenclature, confidence.load(), floor=0.0)

    def _encode(self, subject: str, record: dict[str, object]) -> bytes:
        # Offline there is no wire: the caller takes the value itself.
        return self._wire.encode(subject, record) if self._wire else b""

    def proposals(self, prepared: Prepared, line: ReadLine, tagged: LineAnswer) -> list[Proposal]:
        """Every proposal of either coder for a line, before one is chosen: what confidences are fitted on."""
        return self._wording.proposals(prepared.read, line, tagged)

    def _coded(
        self,
        prepared: Prepared,
        status: CodedStatus,
        modality: Modality,
        cause: Underlying,
        route: Targeting,
        versions: Versions,
        now: datetime,
    ) -> CodedCertificate:
        c = prepared.read.certificate
        return CodedCertificate(
            c.certificate_id, c.version, prepared.received.content_hash, status, modality, cause, route, versions, now,
            death_date=c.death_date, sex=c.sex, age=_age(c), place=c.place, residence=c.residence, source=c.source,
            form=c.form, manner=c.manner, origin=prepared.incoming.origin, received_at=c.received_at,
        )  # fmt: skip


def _age(certificate: Certificate) -> Age | None:
    """Age at death as stated, else in days from the dates: who counts deaths by age has the record alone.

    Dates that are centuries apart tell no age: readers of the record would refuse it.
    """
    days = certificate.age_days
    if certificate.age is not None or days is None or days > AGE_MAX:
        return certificate.age
    return Age(int(days), AgeUnit.DAYS)
