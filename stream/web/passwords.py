"""Passwords: argon2id, and what may be one (OWASP ASVS 5.0, 6.2; NIST SP 800-63B)."""

from __future__ import annotations

import gzip
import unicodedata
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from stream.errors import WeakPassword

LONGEST = 128
_FEWEST_KINDS = 5
# RFC 9106, second recommended: 64 MiB, three passes, four lanes.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)


def hashed(password: str) -> str:
    """Argon2id hash with its parameters and its salt."""
    return _HASHER.hash(_normal(password))


def verified(stored: str, password: str) -> bool:
    """Whether it is the password of a hash. Without any hash it takes as long and says no."""
    text = _normal(password)
    if len(text) > LONGEST:
        text, stored = "", ""  # nobody has one so long
    try:
        return _HASHER.verify(stored or _nobody(), text) and bool(stored)
    except (Argon2Error, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than ours are now."""
    return _HASHER.check_needs_rehash(stored)


def check(password: str, least: int, personal: tuple[str, ...] = ()) -> None:
    """Whether somebody may have it.

    Args:
        password: as typed; any characters, no rules of composition.
        least: characters that it must have.
        personal: words that it must not hold: login, name, service.

    Raises:
        WeakPassword: it may not be one.
    """
    text = _normal(password)
    folded = text.casefold()
    reason = ""
    if len(text) < least:
        reason = "short"
    elif len(text) > LONGEST:
        reason = "long"
    elif _tried(folded):
        reason = "common"
    elif len(set(folded)) < _FEWEST_KINDS or _runs(folded):
        reason = "simple"
    elif any(len(word) > 3 and word.casefold() in folded for word in personal):
        reason = "personal"
    if reason:
        raise _weak(reason, least)


def _weak(reason: str, least: int) -> WeakPassword:
    told = {
        "short": f"it has fewer than {least} characters",
        "long": f"it has more than {LONGEST} characters",
        "common": "it is among the passwords that everybody tries first",
        "simple": "it repeats a few characters, or runs along the keyboard or the alphabet",
        "personal": "it holds the login, the name or the name of this service",
    }[reason]
    hint = "several words that have nothing to do with each other"
    return WeakPassword(f"this password is not taken: {told}", hint=hint, reason=reason)


@cache
def common() -> frozenset[str]:
    """Passwords that are tried first, in lower case; NOTICE tells where the list comes from."""
    packed = (files("stream.web") / "common_passwords.tsv.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split())


def _tried(text: str) -> bool:
    """Whether it is a common password, one twice over, or one with digits and signs around it."""
    bare = text.strip("".join(sign for sign in text if not sign.isalpha()))
    half = text[: len(text) // 2]
    return text in common() or bare in common() or (half * 2 == text and half in common())


_KEYBOARD = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "azertyuiopqsdfghjklmwxcvbn", "qwertyuiopasdfghjklzxcvbnm")


def _runs(text: str) -> bool:
    """Whether most of it is one run along the alphabet, the digits or a keyboard, forwards or backwards."""
    steps = {line[i : i + 2] for line in _KEYBOARD for i in range(len(line) - 1)}
    steps |= {step[::-1] for step in steps}
    along = sum(text[i : i + 2] in steps or text[i] == text[i + 1] for i in range(len(text) - 1))
    return along >= 0.8 * (len(text) - 1)


def _normal(password: str) -> str:
    # The same word typed on two keyboards may come in two forms.
    return unicodedata.normalize("NFKC", password)


@cache
def _nobody() -> str:
    return _HASHER.hash("nobody has this one")
