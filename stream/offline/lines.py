"""The lines of a byte stream, one at a time, none of them able to fill the memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from stream.errors import InputError, InvalidCertificate, OversizedText

ROW_BYTES = 10_000_000
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end.

    Attributes:
        number: counted from 1.
        data: its bytes; empty where `oversized`.
        end: bytes of the stream up to the end of the line.
        oversized: longer than `ROW_BYTES`; its bytes were passed over.
        whole: it ended with a line feed, so it cannot have been cut short.
    """

    number: int
    data: bytes
    end: int
    oversized: bool = False
    whole: bool = True

    def text(self) -> str:
        """The line as text.

        Raises:
            OversizedText: too long to be read.
            InvalidCertificate: not UTF-8.
        """
        if self.oversized:
            raise OversizedText(f"the row is over {ROW_BYTES // 1_000_000} MB")
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(f"at byte {error.start + 1} of the row") from None


def not_utf8(where: str) -> InputError:
    """The error of bytes in another encoding."""
    return InvalidCertificate(
        f"not UTF-8 {where}", hint="convert the file first, as `iconv -f WINDOWS-1252 -t UTF-8 FILE` does"
    )


def is_utf16(line: Line) -> bool:
    """Whether the first line of a stream begins with a UTF-16 mark."""
    return line.data.startswith(_UTF16)


def split(stream: BinaryIO, *, row_bytes: int = ROW_BYTES) -> Iterator[Line]:
    """Lines of `stream`, ended by LF or CR LF, without the byte order mark of UTF-8."""
    number = end = 0
    while data := stream.readline(row_bytes + 1):
        number, end = number + 1, end + len(data)
        oversized = len(data) > row_bytes
        if oversized:
            while not data.endswith(b"\n") and (data := stream.readline(1 << 16)):
                end += len(data)
        whole = data.endswith(b"\n")
        kept = b"" if oversized else data.removesuffix(b"\n").removesuffix(b"\r")
        yield Line(number, kept.removeprefix(codecs.BOM_UTF8) if number == 1 else kept, end, oversized, whole)
