"""Which alarms are due: a function of what was coded, what people decided and how far the machine is trusted.

No clock and no memory of alarms raised: each change of automation begins a new count, of certificates coded after it,
so that an alarm that lowered automation is not due again, before or after a restart, until new certificates bear it out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stream.automation import ALL, Trust
from stream.certificate import Source
from stream.coding import Automation, CodedCertificate, CodedStatus, Route
from stream.nomenclature import icd10
from stream.nomenclature.agreement import same
from stream.quality.drift import Drift, Finding, Measure, Sample, Sensitivity
from stream.quality.ledger import Case, Ledger
from stream.quality.sequential import Evidence, evidence
from stream.quality.truth import audited
from stream.targeting.policy import Policy, Rules, Stratum
from stream.targeting.thresholds import VERSIONED

ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Alarm:
    """A change of automation that is due.

    Attributes:
        kind: ERROR, or what drifts.
        scope, automation: what is to hold where.
        why: the alarm and its figures, for people; no text.
    """

    kind: str
    scope: str
    automation: Automation
    why: str


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What an audit says of an automatic certificate, and what the machine ran under when it coded it."""

    at: datetime
    certificate_id: str
    wrong: bool
    coded_at: datetime
    automation: Automation
    policy: str


class Alarms:
    """Takes records of `coded` and `corrections` and tells what is due.

    Args:
        policy: its promises are watched.
        sensitivity: of the drift detectors.

    Attributes:
        ledger: all cases.
        drift: the detectors.
        policies: by stratum, when its newest record was coded and under which policy.
    """

    def __init__(self, policy: Policy, sensitivity: Sensitivity | None = None) -> None:
        self.ledger, self.drift = Ledger(), Drift(sensitivity)
        self.policies: dict[str, tuple[datetime, str]] = {}
        self._rules: Rules = policy.rules
        self._verdicts: dict[str, dict[str, _Verdict]] = defaultdict(dict)
        self._stratum: dict[str, str] = {}
        self._known: dict[str, tuple[Trust, Evidence]] = {}
        self._waiting: list[Sample] | None = []
        self._findings: list[Finding] = []
        self._news: list[Finding] = []

    def take(self, subject: str, value: dict[str, Any]) -> None:
        """Take a record; the order matters to the drift detectors alone, and once `begin` was called."""
        before = self.ledger.get(value.get("certificate_id", ""))
        version = before.machine.version if before and before.machine else 0
        case = self.ledger.fold(subject, value)
        if case is None:
            return
        if case.machine is not None and case.machine.version > version:
            self._coded(case.machine)
        self._audit(case)

    def begin(self) -> None:
        """What is already there has been taken. Of partitions read one after the other, certificates come in no order:
        the detectors take them by the moment of coding, and those to come as they come.
        """
        waiting, self._waiting = self._waiting or [], None
        for sample in sorted(waiting, key=lambda sample: sample.at):
            self._findings += self.drift.update(sample)

    def news(self) -> list[Finding]:
        """Changes found since `begin` and not yet told."""
        news, self._news = self._news, []
        return news

    def evidence(self, stratum: Stratum, trust: Trust) -> Evidence:
        """Evidence against a stratum's promise since automation last changed there, under the policy in force."""
        known = self._known.get(stratum.name)
        if known is None or known[0] != trust:
            found = [v.wrong for v in self._counted(stratum.name, trust)]
            known = trust, evidence(found, stratum.error, 1 - self._rules.promise.confidence)
            self._known[stratum.name] = known
        return known[1]

    def due(self, trust: Trust) -> list[Alarm]:
        """Alarms that lower what now holds."""
        found = [alarm for stratum in self._rules.strata for alarm in self._broken(stratum, trust)]
        scopes = {alarm.scope for alarm in found}
        for finding in self._findings:
            if finding.lowers and self.drift.newest[finding.source] == finding.versions:
                for scope in self._reach(finding.source):
                    since = trust.since(scope)
                    fresh = since is None or finding.at > since
                    if scope not in scopes and fresh and trust.of(scope) is Automation.NORMAL:
                        scopes.add(scope)
                        found.append(Alarm(finding.measure, scope, Automation.STRICT, str(finding)))
        return found

    def _broken(self, stratum: Stratum, trust: Trust) -> list[Alarm]:
        found = self.evidence(stratum, trust)
        if found.alarm is None or trust.of(stratum.name) is Automation.HALTED:
            return []
        lower = Automation.STRICT if trust.of(stratum.name) is Automation.NORMAL else Automation.HALTED
        limit = 1 / (1 - self._rules.promise.confidence)
        why = (
            f"{ERROR} in {stratum.name}: {found.wrong} of {found.audits} audits wrong, {stratum.error:.1%} promised; "
            f"evidence passed {limit:.0f} at audit {found.alarm}"
        )
        return [Alarm(ERROR, stratum.name, lower, why)]

    def _counted(self, stratum: str, trust: Trust) -> list[_Verdict]:
        """The verdicts that bear on what holds now, in order of decision."""
        since, automation = trust.since(stratum), trust.of(stratum)
        policy = self.policies.get(stratum, (None, ""))[1]
        found = [
            v for v in self._verdicts[stratum].values()
            if v.policy == policy and v.automation is automation and (since is None or v.coded_at >= since)
        ]  # fmt: skip
        return sorted(found, key=lambda v: (v.at, v.certificate_id))

    def _reach(self, source: Source) -> list[str]:
        """Scopes that certificates of a source may fall into."""
        names = [s.name for s in self._rules.strata if s.source in (None, source)]
        return [ALL] if len(names) == len(self._rules.strata) else names

    def _coded(self, record: CodedCertificate) -> None:
        """A version coded for the first time."""
        stratum, policy = record.targeting.stratum, record.targeting.policy
        if record.status is CodedStatus.WITHDRAWN:
            return
        newest = self.policies.get(stratum)
        if newest is None or record.coded_at >= newest[0]:
            self.policies[stratum] = record.coded_at, policy
            if newest is None or newest[1] != policy:
                self._known.pop(stratum, None)
        if record.revision:
            return  # coded again from the archive: it says nothing of what comes in
        versions = tuple(getattr(record.versions, name) for name in VERSIONED)
        cause = record.underlying
        chapter = icd10.chapter(cause.code) if cause.code else ""
        sample = Sample(record.coded_at, record.source, versions, record.unknown, 1 - cause.confidence, chapter)
        if self._waiting is not None:
            self._waiting.append(sample)
            return
        found = self.drift.update(sample)
        self._findings += found
        self._news += found

    def _audit(self, case: Case) -> None:
        """Put a case's verdict where it belongs, and away from where it no longer does."""
        record, reference = case.machine, audited(case)
        place = self._stratum.pop(case.certificate_id, None)
        if place is not None:
            del self._verdicts[place][case.certificate_id]
            self._known.pop(place, None)
        if record is None or reference is None or record.targeting.route is not Route.AUTO:
            return
        wrong = not same(record.underlying.code, reference.code, self._rules.promise.level)
        t = record.targeting
        self._stratum[case.certificate_id] = t.stratum
        self._verdicts[t.stratum][case.certificate_id] = _Verdict(
            reference.at, case.certificate_id, wrong, record.coded_at, t.automation, t.policy
        )
        self._known.pop(t.stratum, None)

    def means(self) -> dict[tuple[Source, Measure], float]:
        """See `Drift.means`."""
        return self.drift.means()
