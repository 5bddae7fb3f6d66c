"""Topic of each subject of the wire, under the settings' names."""

from __future__ import annotations

from stream.settings import Settings


def subject_topics(settings: Settings) -> dict[str, str]:
    """Name of the topic of each subject."""
    names = settings.kafka.topics
    return {
        "certificates": names.certificates,
        "coded": names.coded,
        "manual": names.manual,
        "corrections": names.corrections,
        "alerts": names.alerts,
        "dead-letters": names.dead_letters,
        "automation": names.automation,
    }
