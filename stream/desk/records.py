"""Records as the desk's database keeps them: JSON, compressed, sealed texts still sealed."""

from __future__ import annotations

import zlib
from typing import TypeVar

from pydantic import TypeAdapter

from stream.certificate import Certificate
from stream.coding import CodedCertificate, Correction

T = TypeVar("T")
_CERTIFICATE: TypeAdapter[Certificate] = TypeAdapter(Certificate)
_CODED: TypeAdapter[CodedCertificate] = TypeAdapter(CodedCertificate)
_CORRECTION: TypeAdapter[Correction] = TypeAdapter(Correction)
_LEVEL = 1


def _pack(adapter: TypeAdapter[T], value: T) -> bytes:
    return zlib.compress(adapter.dump_json(value), _LEVEL)


def _unpack(adapter: TypeAdapter[T], body: bytes) -> T:
    return adapter.validate_json(zlib.decompress(body))


def pack_certificate(certificate: Certificate) -> bytes:
    """A certificate; what is sealed stays so."""
    return _pack(_CERTIFICATE, certificate)


def certificate_of(body: bytes) -> Certificate:
    """A packed certificate."""
    return _unpack(_CERTIFICATE, body)


def pack_coded(coded: CodedCertificate) -> bytes:
    """A coded record."""
    return _pack(_CODED, coded)


def coded_of(body: bytes) -> CodedCertificate:
    """A packed coded record."""
    return _unpack(_CODED, body)


def pack_correction(correction: Correction) -> bytes:
    """A decision."""
    return _pack(_CORRECTION, correction)


def correction_of(body: bytes) -> Correction:
    """A packed decision."""
    return _unpack(_CORRECTION, body)
