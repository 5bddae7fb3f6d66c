"""Login at an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0; RFC 7636, 9207, 9700).

State ties the answer to the browser that asked, the nonce ties the ID token to it, PKCE ties the code to us. The ID token's
signature is checked by the provider's keys (asymmetric algorithms alone), then issuer, audience, authorised party, times,
nonce and, where it is asked for, the authentication class. Roles come from a claim of the ID token.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwk, jws
from joserfc.errors import JoseError

from stream.errors import InvalidSettings, ProviderUnavailable
from stream.services import Oidc
from stream.web.sessions import token
from stream.web.users import Role

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
LEEWAY_S = 60.0
OLDEST_S = 600.0
"""An ID token that was issued so long ago is not of this login."""
_KEYS_S = 300.0
"""Keys are asked for anew after so long, or sooner where a token names one that we lack."""
_AGAIN_S = 10.0
_ANSWER_BYTES = 1_048_576


class Refused(Exception):
    """A login that is not taken; `reason` is a word for the access log, and nothing of what was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asked:
    """A login that was begun: what the browser is sent with, and what must come back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whom the provider has sent."""

    subject: str
    name: str
    roles: frozenset[Role]


class Provider:
    """An OpenID provider.

    Args:
        settings: of the login.
        allowed: roles that this service knows.
        clock: seconds since 1970.

    Raises:
        InvalidSettings: an issuer that is no address, no client, or a role that nobody knows.
    """

    def __init__(self, settings: Oidc, allowed: tuple[Role, ...], clock: Callable[[], float]) -> None:
        _check(settings)
        self._settings, self._allowed, self._clock = settings, allowed, clock
        self._lock = asyncio.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: list[jwk.Key] = []
        self._asked_at = -_KEYS_S
        # The system's trust store: providers of hospitals often have an authority of their own.
        self._tls = ssl.create_default_context()

    @property
    def issuer(self) -> str:
        """Its name in people's rows."""
        return self._settings.issuer

    async def ask(self, redirect: str) -> Asked:
        """Begin a login.

        Raises:
            ProviderUnavailable: it does not answer.
        """
        endpoint = self._endpoint(await self._known(), "authorization_endpoint")
        state, nonce, verifier = token(), token(), token()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code", "client_id": self._settings.client_id, "redirect_uri": redirect,
            "scope": self._settings.scopes, "state": state, "nonce": nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        if self._settings.required_acr:
            query["acr_values"] = self._settings.required_acr
        return Asked(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", state, nonce, verifier)

    async def answered(self, code: str, issuer: str | None, asked: Asked, redirect: str) -> Claimed:
        """End a login: change the code for an ID token and check it.

        Args:
            code: as it came back.
            issuer: `iss` as it came back (RFC 9207); None where it did not.
            asked: what was kept of the beginning.
            redirect: as it was sent then.

        Raises:
            Refused: the answer or the token is not good.
            ProviderUnavailable: the provider does not answer.
        """
        metadata = await self._known()
        told = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or told) and issuer != self._settings.issuer:
            raise Refused("ISSUER")
        raw = await self._exchanged(metadata, code, asked.verifier, redirect)
        return self._claimed(await self._verified(raw), asked.nonce)

    async def logout_url(self, back: str) -> str:
        """Where a person may also end the session at the provider; empty where it has no such page."""
        try:
            metadata = await self._known()
            endpoint = self._endpoint(metadata, "end_session_endpoint")
        except ProviderUnavailable:
            return ""
        query = urlencode({"client_id": self._settings.client_id, "post_logout_redirect_uri": back})
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    async def _exchanged(self, metadata: Mapping[str, Any], code: str, verifier: str, redirect: str) -> str:
        data = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier,
            "client_id": self._settings.client_id,
        }  # fmt: skip
        secret = self._settings.client_secret.get_secret_value()
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        auth = None
        if secret and "client_secret_basic" in methods:
            auth = httpx.BasicAuth(*(_form_encoded(part) for part in (self._settings.client_id, secret)))
        elif secret:
            data["client_secret"] = secret
        status, answer = await self._call("POST", self._endpoint(metadata, "token_endpoint"), data=data, auth=auth)
        if status in (400, 401):
            raise Refused("CODE")
        raw = answer.get("id_token") if status == 200 else None
        if not isinstance(raw, str):
            raise ProviderUnavailable("the OpenID provider gives no ID token")
        return raw

    async def _verified(self, raw: str) -> dict[str, Any]:
        """Claims of a token whose signature is the provider's."""
        header = _header(raw)
        for fresh in (False, True):
            keys = await self._signing(header, fresh)
            for key in keys:
                try:
                    found = jws.deserialize_compact(raw, key, algorithms=list(ALGORITHMS))
                    claims = json.loads(found.payload or b"")
                except (JoseError, ValueError):
                    continue
                if isinstance(claims, dict):
                    return claims
            if keys:
                break
        raise Refused("SIGNATURE")

    async def _signing(self, header: Mapping[str, Any], fresh: bool) -> list[jwk.Key]:
        """Keys that a token may be signed with, asked for anew where it names one that we lack."""
        now = self._clock()
        if fresh and now - self._asked_at < _AGAIN_S:
            return []
        if fresh or now - self._asked_at > _KEYS_S or not self._keys:
            await self._refresh()
        kid = header.get("kid")
        return [key for key in self._keys if kid is None or key.kid == kid]

    async def _refresh(self) -> None:
        metadata = await self._known()
        self._asked_at = self._clock()
        status, answer = await self._call("GET", self._endpoint(metadata, "jwks_uri"))
        keys = answer.get("keys")
        if status != 200 or not isinstance(keys, list):
            raise ProviderUnavailable("the OpenID provider's keys cannot be read")
        self._keys = [key for key in map(_key, keys) if key is not None]

    def _claimed(self, claims: Mapping[str, Any], nonce: str) -> Claimed:
        now = self._clock()
        client = self._settings.client_id
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        several = len(audiences) > 1 or "azp" in claims
        given = claims.get("nonce")
        subject = claims.get("sub")
        checks = {
            "ISSUER": claims.get("iss") == self._settings.issuer,
            "AUDIENCE": client in audiences,
            "PARTY": not several or claims.get("azp") == client,
            "EXPIRED": _time(claims, "exp") > now - LEEWAY_S,
            "ISSUED": now - OLDEST_S < _time(claims, "iat") < now + LEEWAY_S,
            "EARLY": "nbf" not in claims or _time(claims, "nbf", 1e18) < now + LEEWAY_S,
            "NONCE": isinstance(given, str) and hmac.compare_digest(given.encode(), nonce.encode()),
            "SUBJECT": isinstance(subject, str) and 0 < len(subject) <= 255,
            "CLASS": self._settings.required_acr in ("", claims.get("acr")),
        }
        for reason, good in checks.items():
            if not good:
                raise Refused(reason)
        name = claims.get(self._settings.name_claim)
        return Claimed(str(subject), name if isinstance(name, str) else "", self._roles(claims))

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        found: Any = claims
        for step in self._settings.roles_claim.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        values = found if isinstance(found, list) else found.split() if isinstance(found, str) else []
        named = {self._settings.roles.get(value) if self._settings.roles else value for value in map(str, values)}
        return frozenset(role for role in self._allowed if role.value in named)

    async def _known(self) -> dict[str, Any]:
        """What the provider tells of itself, asked once."""
        async with self._lock:
            if not self._metadata:
                url = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
                status, metadata = await self._call("GET", url)
                if status != 200 or metadata.get("issuer") != self._settings.issuer:
                    raise ProviderUnavailable("the OpenID provider does not tell of itself, or by another name")
                self._metadata = metadata
            return self._metadata

    def _endpoint(self, metadata: Mapping[str, Any], name: str) -> str:
        url = metadata.get(name)
        if not isinstance(url, str) or not _trusted(url):
            raise ProviderUnavailable(f"the OpenID provider has no {name}")
        return url

    async def _call(
        self, method: str, url: str, data: Mapping[str, str] | None = None, auth: httpx.Auth | None = None
    ) -> tuple[int, dict[str, Any]]:
        try:
            async with (
                httpx.AsyncClient(timeout=self._settings.timeout_s, verify=self._tls, follow_redirects=False) as client,
                client.stream(method, url, data=data, auth=auth, headers={"accept": "application/json"}) as response,
            ):
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _ANSWER_BYTES:
                        raise ProviderUnavailable("the OpenID provider's answer is too long")
                answer = json.loads(body) if body else {}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ProviderUnavailable(f"the OpenID provider: {type(error).__name__}") from None
        return response.status_code, answer if isinstance(answer, dict) else {}


def _check(settings: Oidc) -> None:
    if not _trusted(settings.issuer):
        raise InvalidSettings("web.oidc.issuer is no https address", hint="http is for the loopback alone")
    if not settings.client_id:
        raise InvalidSettings("web.oidc.client_id is empty")
    if "openid" not in settings.scopes.split():
        raise InvalidSettings("web.oidc.scopes lacks openid")
    unknown = sorted(set(settings.roles.values()) - {role.value for role in Role})
    if unknown:
        raise InvalidSettings(f"web.oidc.roles: {unknown[0]} is no role")


def _trusted(url: str) -> bool:
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    loopback = address.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(address.hostname) and (address.scheme == "https" or (address.scheme == "http" and loopback))


def _header(raw: str) -> dict[str, Any]:
    """A token's header, not yet trusted: which key, and that it is no token of another kind."""
    try:
        part = raw.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("alg") not in ALGORITHMS:
        raise Refused("ALGORITHM")
    if str(header.get("typ", "JWT")).upper() != "JWT" or not isinstance(header.get("kid", ""), str):
        raise Refused("KIND")
    return header


def _key(data: Any) -> jwk.Key | None:
    """A public key for signatures; None for any other, and for what is none."""
    if not isinstance(data, dict) or data.get("kty") not in ("RSA", "EC", "OKP") or data.get("use", "sig") != "sig":
        return None
    try:
        return jwk.import_key({name: value for name, value in data.items() if isinstance(value, str | list)})
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _time(claims: Mapping[str, Any], name: str, otherwise: float = -1.0) -> float:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _form_encoded(part: str) -> str:
    # RFC 6749, 2.3.1: each is form-encoded before they are joined.
    return urlencode({"": part})[1:]
