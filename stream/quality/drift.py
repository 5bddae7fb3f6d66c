"""Drift: certificates that no longer look like those the machine was calibrated on, told before any audit comes back.

Three things are watched, each by source (electronic, paper), with ADWIN (Bifet and Gavaldà, SIAM Data Mining 2007) as
river has it: a window that grows while nothing changes, and is cut where two parts of it differ by more than chance.

- the share of unknown words, and the doubt (1 - confidence): a rise is an alarm;
- the mix of codes, a detector for each chapter of ICD-10: only a warning, since causes of death have seasons.

In a window of a year chance alone explains next to nothing, so a change must be large as well as sure. It is measured
against the norm, the level from before the first cut: what creeps up in small steps is seen when the steps add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from river.drift import ADWIN

from stream.certificate import Source
from stream.nomenclature.icd10 import CHAPTERS


class Measure(StrEnum):
    """What is watched."""

    UNKNOWN_WORDS = "UNKNOWN_WORDS"
    DOUBT = "DOUBT"
    CODE_MIX = "CODE_MIX"


@dataclass(frozen=True, slots=True)
class Sample:
    """A coded certificate as the detectors see it.

    Attributes:
        at: when it was coded.
        source: how it came.
        versions: those that its confidence depends on; certificates of other versions are not compared with it.
        unknown: share of its text that neither coder could read.
        doubt: 1 - confidence of its underlying cause.
        chapter: Roman number of the cause's chapter; empty where there is none.
    """

    at: datetime
    source: Source
    versions: tuple[str, ...]
    unknown: float
    doubt: float
    chapter: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A change found.

    Attributes:
        at: when the certificate was coded that settled it.
        source, versions: where.
        measure: of what.
        chapter: of the code mix; else empty.
        before, after: the norm, and the mean of what has come since the change.
        seen: certificates that the detector had seen.
    """

    at: datetime
    source: Source
    versions: tuple[str, ...]
    measure: Measure
    chapter: str
    before: float
    after: float
    seen: int

    @property
    def lowers(self) -> bool:
        """Whether it lowers automation; else it only warns."""
        return self.measure is not Measure.CODE_MIX

    def __str__(self) -> str:
        """For people; figures alone."""
        what = f"{self.measure} {self.chapter}".strip()
        return f"DRIFT {what} in {self.source}: {self.before:.4f} before, {self.after:.4f} now, {self.seen} seen"


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How much it takes.

    Attributes:
        delta: of ADWIN; shared by the detectors of the code mix.
        grace: certificates of a source and version before anything is told.
        relative, least: a change counts from this share of the norm on, and from this much in any case.
        settle: new certificates behind a cut before they tell how large the change is.
        quiet: time after an alarm in which the same detector is silent; what it sees then is the new norm.
    """

    delta: float = 0.002
    grace: int = 1_000
    relative: float = 0.2
    least: float = 0.005
    settle: int = 300
    quiet: timedelta = timedelta(days=7)


class Detector:
    """ADWIN with a norm.

    River's ADWIN begins a new window behind each cut. So the size of a change is measured first at the cut by what the
    cut left, which still holds values from before, then by the new values, each time they are twice as many.

    Args:
        sensitivity: how much it takes.
        delta: of its ADWIN.
        rises: whether a rise alone counts.
    """

    def __init__(self, sensitivity: Sensitivity, delta: float, *, rises: bool) -> None:
        self._sensitivity, self._rises = sensitivity, rises
        self._adwin = ADWIN(delta=delta)
        self._window = _Window()
        self._norm: float | None = None
        self._suspect, self._look = False, 0
        self._quiet: datetime | None = None
        self.seen = 0

    @property
    def mean(self) -> float:
        """Mean of what has come since the last cut."""
        return self._window.mean

    def update(self, value: float, at: datetime) -> tuple[float, float] | None:
        """Take a value; norm and new mean where it settles that there is a change that counts."""
        self.seen += 1
        self._adwin.update(value)
        if self._adwin.drift_detected:
            return self._cut(at)
        self._window.add(value)
        if self._suspect and self._window.count == self._look:
            self._look *= 2
            return self._measured(self.mean, at)
        return None

    def _cut(self, at: datetime) -> tuple[float, float] | None:
        norm = self._window.earlier if self._norm is None else self._norm
        self._window = _Window()
        if self.seen < self._sensitivity.grace or (self._quiet is not None and at < self._quiet):
            return None
        self._norm, self._suspect, self._look = norm, True, max(1, self._sensitivity.settle)
        return self._measured(float(self._adwin.estimation), at)

    def _measured(self, mean: float, at: datetime) -> tuple[float, float] | None:
        """Norm and mean where they are far enough apart; the new level is then the norm to be."""
        norm, how = self._norm, self._sensitivity
        assert norm is not None
        rise = mean - norm
        if (rise if self._rises else abs(rise)) < max(how.least, how.relative * norm):
            return None
        self._norm, self._suspect, self._quiet = None, False, at + how.quiet
        return norm, mean


class _Window:
    """Values since the last cut, and their mean as it was when they were half as many or fewer.

    A change is found some time after it began: by then the mean of all has moved with it, and the earlier one has not.
    """

    def __init__(self) -> None:
        self.count, self._total = 0, 0.0
        self._marks = [(0, 0.0), (0, 0.0)]

    def add(self, value: float) -> None:
        self.count += 1
        self._total += value
        if self.count == max(64, 2 * self._marks[1][0]):
            self._marks = [self._marks[1], (self.count, self._total)]

    @property
    def mean(self) -> float:
        return self._total / self.count if self.count else 0.0

    @property
    def earlier(self) -> float:
        count, total = self._marks[0]
        return total / count if count else self.mean


class _Detectors:
    """The detectors of one source and one set of versions."""

    def __init__(self, sensitivity: Sensitivity) -> None:
        delta = sensitivity.delta
        texts = (Measure.UNKNOWN_WORDS, Measure.DOUBT)
        self.text = {measure: Detector(sensitivity, delta, rises=True) for measure in texts}
        self.mix = {name: Detector(sensitivity, delta / len(CHAPTERS), rises=False) for name, *_ in CHAPTERS}


class Drift:
    """All detectors; feed it in the order of coding.

    Args:
        sensitivity: how much it takes.

    Attributes:
        newest: by source, the versions that coded last.
    """

    def __init__(self, sensitivity: Sensitivity | None = None) -> None:
        self._sensitivity = sensitivity or Sensitivity()
        self._sets: dict[tuple[Source, tuple[str, ...]], _Detectors] = {}
        self.newest: dict[Source, tuple[str, ...]] = {}

    def update(self, sample: Sample) -> list[Finding]:
        """Take a certificate; the changes that it settles."""
        key = sample.source, sample.versions
        if key not in self._sets:
            self._sets[key] = _Detectors(self._sensitivity)
        found, self.newest[sample.source] = self._sets[key], sample.versions
        changes: list[Finding] = []

        def look(detector: Detector, value: float, measure: Measure, chapter: str = "") -> None:
            change = detector.update(value, sample.at)
            if change:
                changes.append(Finding(sample.at, *key, measure, chapter, *change, detector.seen))

        look(found.text[Measure.UNKNOWN_WORDS], sample.unknown, Measure.UNKNOWN_WORDS)
        look(found.text[Measure.DOUBT], sample.doubt, Measure.DOUBT)
        for chapter, detector in found.mix.items():
            look(detector, float(chapter == sample.chapter), Measure.CODE_MIX, chapter)
        return changes

    def means(self) -> dict[tuple[Source, Measure], float]:
        """Recent means by source, of the versions that coded last; for gauges."""
        return {
            (source, measure): detector.mean
            for source, versions in self.newest.items()
            for measure, detector in self._sets[source, versions].text.items()
        }
