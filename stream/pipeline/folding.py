"""A coder's decision to the record that goes to `coded`: checked, and stamped with where it came from."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from stream.coding import CodedCertificate, CodedStatus, Correction, DecisionKind, Modality, Origin, read_correction
from stream.errors import InvalidCorrection
from stream.nomenclature.icd10 import Nomenclature


def correction_of(value: object) -> Correction:
    """Correction of an Avro mapping.

    Raises:
        InvalidCorrection: a field is missing or out of its domain; the message names fields, never values.
    """
    try:
        return read_correction(value)
    except ValidationError as error:
        fields = sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)})
        raise InvalidCorrection(", ".join(fields)) from None


def folded(
    correction: Correction, key: bytes | None, origin: Origin, nomenclature: Nomenclature
) -> CodedCertificate | None:
    """The record that a decision makes of its version; None where it changes nothing.

    The decision alone is looked at: whether the version has been amended or withdrawn meanwhile is for `supersedes` to
    say, in every consumer alike.

    Args:
        correction: the decision.
        key: of its record in Kafka: the certificate's id, so that what is coded stands with what was.
        origin: where it stands.
        nomenclature: the codes that exist.

    Raises:
        InvalidCorrection: the record is not what this decision may make: another certificate or version, no person's
            result, another moment, a status that the kind does not give, or a code that does not exist.
    """
    result = correction.result
    if result is None:
        return None
    given_back = correction.kind is DecisionKind.UNDO
    wanted = CodedStatus.PROVISIONAL if given_back else CodedStatus.FINAL
    faults = {
        "key": key != correction.certificate_id.encode(),
        "kind": correction.kind is DecisionKind.SECOND,
        "result.certificate_id": result.certificate_id != correction.certificate_id,
        "result.version": result.version != correction.version,
        "result.content_hash": result.content_hash != correction.content_hash,
        "result.modality": result.modality is not Modality.HUMAN,
        "result.status": result.status is not wanted,
        "result.coded_at": result.coded_at != correction.decided_at,
        "result.underlying": not _exists(result.underlying.code, nomenclature, none=given_back),
        "result.entities": not all(_exists(entity.code, nomenclature) for entity in result.entities()),
    }
    wrong = [name for name, fault in faults.items() if fault]
    if wrong:
        raise InvalidCorrection(", ".join(wrong))
    return replace(result, origin=origin)


def _exists(code: str | None, nomenclature: Nomenclature, *, none: bool = False) -> bool:
    return none if code is None else code in nomenclature
