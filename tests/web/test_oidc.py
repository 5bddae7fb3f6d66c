"""Logins at an OpenID provider: at a real one, and at an issuer that lies."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc import jwk, jwt
from pydantic import SecretStr
from starlette.applications import Starlette

from stream.errors import InvalidSettings
from stream.services import Oidc, Web
from stream.web.application import front_of_app
from stream.web.users import Role
from web.issuer import Claims, Issuer, running
from web.shared import browser

Maker = Callable[..., Starlette]


@pytest.fixture
def clock() -> Callable[[], Any]:
    from datetime import UTC, datetime

    return lambda: datetime.now(UTC)


def oidc(issuer: str, **more: Any) -> Web:
    values = {"issuer": issuer, "client_id": "desk", "client_secret": SecretStr("s+/cret"), **more}
    return Web(oidc=Oidc(**values))


async def at_the_provider(url: str, sub: str, action: str = "authorize") -> str:
    """Log in there as a person; where it sends the browser back to."""
    async with httpx.AsyncClient() as there:
        assert (await there.get(url)).status_code == 200
        answer = await there.post(url, data={"sub": sub, "action": action})
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


async def test_a_real_provider(make: Maker, provider: str) -> None:
    app = make(oidc(provider))
    front = front_of_app(app)
    async with browser(app) as client, browser(app) as thief:
        assert "/login/oidc" in (await client.get("/login")).text
        begun = await client.get("/login/oidc", params={"next": "/?word=a"})
        assert begun.status_code == 303
        back = await at_the_provider(begun.headers["location"], "dupont")
        assert (await thief.get(back)).status_code == 403, "another browser's answer"
        assert (await client.get(back)).status_code == 403, "which works once, for whomever"
        begun = await client.get("/login/oidc", params={"next": "/?word=a"})
        back = await at_the_provider(begun.headers["location"], "dupont")
        answer = await client.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/?word=a")
        assert (await client.get("/")).status_code == 200
        account = (await client.get("/account")).text
        assert "Anne Dupont" in account
        assert 'name="current"' not in account, "the provider keeps the password"
        person = front.people.all()[0]
        assert person.pseudonym.startswith("p-")
        assert person.roles == {Role.CODER}
        assert (await thief.get(back)).status_code == 403

        begun = await thief.get("/login/oidc")
        refused = await thief.get(await at_the_provider(begun.headers["location"], "nobody"))
        assert refused.status_code == 403
        assert "aucun rôle" in refused.text
        begun = await thief.get("/login/oidc")
        assert (await thief.get(await at_the_provider(begun.headers["location"], "dupont", "deny"))).status_code == 403
        begun = await thief.get("/login/oidc")
        again = await thief.get(await at_the_provider(begun.headers["location"], "dupont"))
        assert again.status_code == 303
        assert len([p for p in front.people.all() if p.login == "dupont"]) == 1, "the same person, the same pseudonym"
        front.people.set_disabled(person.pseudonym, True)
        assert (await client.get("/")).status_code == 303
        begun = await client.get("/login/oidc")
        refused = await client.get(await at_the_provider(begun.headers["location"], "dupont"))
        assert "désactivé" in refused.text
        assert f"{provider}/oauth2/end_session" in (await client.get("/login?out")).text
    reasons = [json.loads(e.detail).get("reason") for e in front.access.entries() if e.act == "LOGIN_FAILED"]
    assert reasons == ["STATE", "STATE", "STATE", "NO_ROLE", "STATE", "DISABLED"], "this one denies without the state"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running() as issuer:
        yield issuer


async def reason(app: Starlette, issuer: Issuer, **more: str) -> str:
    """Why a login is refused; empty where it is taken."""
    async with browser(app) as client:
        begun = await client.get("/login/oidc")
        answer = await client.get(issuer.answer(begun.headers["location"], **more))
        if answer.status_code == 303:
            assert (await client.get("/")).status_code == 200
            return ""
        assert (await client.get("/")).status_code == 303
        if answer.status_code != 403:
            return str(answer.status_code)
    last = list(front_of_app(app).access.entries())[-1]
    assert (last.who, last.act) == ("-", "LOGIN_FAILED")
    found: str = json.loads(last.detail)["reason"]
    return found


async def test_the_code_flow(make: Maker, issuer: Issuer) -> None:
    assert await reason(make(oidc(issuer.url)), issuer) == ""
    asked, exchanged = issuer.asked, issuer.exchanged
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) == len(asked["nonce"]) == len(asked["code_challenge"]) == 43
    assert len({asked["state"], asked["nonce"], asked["code_challenge"], exchanged["code_verifier"]}) == 4
    assert "s+/cret" not in str(exchanged)
    assert base64.b64decode(issuer.authorization.split()[1]) == b"desk:s%2B%2Fcret"


async def test_a_secret_in_the_form_where_the_provider_takes_no_other(make: Maker, issuer: Issuer) -> None:
    issuer.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert await reason(make(oidc(issuer.url)), issuer) == ""
    assert issuer.exchanged["client_secret"] == "s+/cret"
    assert issuer.authorization == ""


def several(*changes: tuple[str, Any]) -> Callable[[Claims], None]:
    def change(claims: Claims) -> None:
        for name, value in changes:
            if value is None:
                claims.pop(name, None)
            else:
                claims[name] = value

    return change


NOW = int(time.time())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([("iss", "https://evil.example")], "ISSUER"),
        ([("iss", None)], "ISSUER"),
        ([("aud", "another")], "AUDIENCE"),
        ([("aud", None)], "AUDIENCE"),
        ([("aud", {"desk": 1})], "AUDIENCE"),
        ([("aud", ["desk", "another"])], "PARTY"),
        ([("aud", ["desk", "another"]), ("azp", "another")], "PARTY"),
        ([("azp", "another")], "PARTY"),
        ([("exp", NOW - 120)], "EXPIRED"),
        ([("exp", None)], "EXPIRED"),
        ([("exp", "9999999999")], "EXPIRED"),
        ([("exp", True)], "EXPIRED"),
        ([("iat", NOW + 3_600)], "ISSUED"),
        ([("iat", NOW - 86_400)], "ISSUED"),
        ([("iat", None)], "ISSUED"),
        ([("nbf", NOW + 3_600)], "EARLY"),
        ([("nonce", "another")], "NONCE"),
        ([("nonce", None)], "NONCE"),
        ([("nonce", "é")], "NONCE"),
        ([("sub", "")], "SUBJECT"),
        ([("sub", None)], "SUBJECT"),
        ([("sub", 7)], "SUBJECT"),
        ([("sub", "a" * 256)], "SUBJECT"),
        ([("roles", None)], "NO_ROLE"),
        ([("roles", ["viewer", "root"])], "NO_ROLE"),
        ([("roles", {"coder": True})], "NO_ROLE"),
        ([("aud", ["desk", "another"]), ("azp", "desk")], ""),
        ([("roles", "coder senior")], ""),
        ([("name", None)], ""),
        ([("name", ["<b>"])], ""),
    ],
)
async def test_claims(make: Maker, issuer: Issuer, changes: list[tuple[str, Any]], why: str) -> None:
    issuer.change = several(*changes)
    assert await reason(make(oidc(issuer.url)), issuer) == why


def unsigned(header: dict[str, Any], claims: Claims) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    return f"{parts[0]}.{parts[1]}."


def confused(header: dict[str, Any], claims: Claims, public: bytes) -> str:
    """Signed with the public key, which everybody knows, as if it were a secret."""
    head = unsigned(header, claims)[:-1]
    signature = base64.urlsafe_b64encode(hmac.digest(public, head.encode(), "sha256")).decode().rstrip("=")
    return f"{head}.{signature}"


OTHER = jwk.RSAKey.generate_key(2048, {"kid": "k1"})


async def test_signatures(make: Maker, issuer: Issuer) -> None:
    app = make(oidc(issuer.url))
    good = issuer.sign

    async def with_header(**header: Any) -> str:
        issuer.header = {"alg": "RS256", "kid": "k1", **header}
        return await reason(app, issuer)

    assert await with_header() == ""
    issuer.sign = lambda header, claims: jwt.encode(header, claims, OTHER)
    assert await with_header() == "SIGNATURE"
    issuer.sign = unsigned
    assert await with_header() == "SIGNATURE"
    for none in ("none", "None", "NONE", "", None):
        assert await with_header(alg=none) == "ALGORITHM"
    issuer.sign = lambda header, claims: confused(header, claims, issuer.key.as_pem(private=False))
    assert await with_header(alg="HS256") == "ALGORITHM", "signed with the public key as a secret"
    issuer.sign = lambda header, claims: good(header, claims)[:-8] + "AAAAAAAA"
    assert await with_header() == "SIGNATURE"
    issuer.sign = lambda header, claims: swapped(good(header, claims), claims)
    assert await with_header() == "SIGNATURE"
    issuer.sign = lambda header, claims: jwt.encode(
        {**header, "jwk": OTHER.as_dict(private=False), "jku": "http://127.0.0.1:1/"}, claims, OTHER
    )
    assert await with_header() == "SIGNATURE", "a key that the token brings along"
    issuer.sign = good
    assert await with_header(typ="at+jwt") == "KIND", "an access token is no ID token"
    assert await with_header(typ="logout+jwt") == "KIND"
    assert await with_header(kid="unknown") == "SIGNATURE"
    for nonsense in ("", "a.b", "a.b.c", ".." * 9, "é.é.é", "eyJ9.e30.x"):
        issuer.sign = lambda _header, _claims, nonsense=nonsense: nonsense  # type: ignore[misc]
        assert await with_header() in ("ALGORITHM", "SIGNATURE"), nonsense


def swapped(token: str, claims: Claims) -> str:
    """A good token's header and signature around other claims."""
    header, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "admin"}).encode()).decode().rstrip("=")
    return f"{header}.{body}.{signature}"


async def test_keys_that_change(make: Maker, issuer: Issuer, clock: Callable[[], Any]) -> None:
    app = make(oidc(issuer.url))
    assert await reason(app, issuer) == ""
    provider = front_of_app(app).provider
    assert provider
    new = jwk.ECKey.generate_key("P-256", {"kid": "k2", "use": "sig"})
    issuer.keys = [{"kty": "oct", "k": "c2VjcmV0", "kid": "k2"}, {"kty": "RSA"}, new.as_dict(private=False), {}]
    issuer.header = {"alg": "ES256", "kid": "k2"}
    issuer.sign = lambda header, claims: jwt.encode(header, claims, new)
    assert await reason(app, issuer) == "SIGNATURE", "not asked again within ten seconds"
    provider._asked_at -= 11
    assert await reason(app, issuer) == ""


async def test_state(make: Maker, issuer: Issuer) -> None:
    app = make(oidc(issuer.url))
    assert await reason(app, issuer, state="another") == "STATE"
    assert await reason(app, issuer, state="") == "STATE"
    assert await reason(app, issuer, code="") == "CODE"
    assert await reason(app, issuer, iss="https://evil.example") == "ISSUER", "a mix-up of providers"
    assert await reason(app, issuer, iss=issuer.url) == ""
    front_of_app(app).provider._metadata["authorization_response_iss_parameter_supported"] = True  # type: ignore[union-attr]
    assert await reason(app, issuer) == "ISSUER", "it says that it tells who it is"


async def test_no_other_site_logs_anybody_in(make: Maker, issuer: Issuer) -> None:
    async with browser(make(oidc(issuer.url))) as client:
        for site in ("cross-site", "same-site"):
            answer = await client.get("/login/oidc?next=/figures", headers={"sec-fetch-site": site})
            assert answer.headers["location"] == "/login?next=/figures"
        answer = await client.get("/login/oidc", headers={"sec-fetch-site": "same-origin"})
        assert answer.headers["location"].startswith(issuer.url)


async def test_pkce(make: Maker, issuer: Issuer) -> None:
    app = make(oidc(issuer.url))
    async with browser(app) as client:
        begun = await client.get("/login/oidc")
        path = issuer.answer(begun.headers["location"])
        issuer.asked["code_challenge"] = "another login's"
        assert (await client.get(path)).status_code == 403


async def test_roles_by_a_mapping_and_a_nested_claim(make: Maker, issuer: Issuer) -> None:
    app = make(oidc(issuer.url, roles_claim="realm_access.roles", roles={"codage": "coder", "chefs": "senior"}))
    issuer.change = lambda claims: claims.update(realm_access={"roles": ["codage", "admin"]})
    assert await reason(app, issuer) == ""
    assert front_of_app(app).people.all()[0].roles == {Role.CODER}


async def test_a_class_of_authentication(make: Maker, issuer: Issuer) -> None:
    app = make(oidc(issuer.url, required_acr="mfa"))
    assert await reason(app, issuer) == "CLASS"
    assert issuer.asked["acr_values"] == "mfa"
    issuer.change = lambda claims: claims.update(acr="mfa")
    assert await reason(app, issuer) == ""


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://evil.example"}, {"authorization_endpoint": "http://evil.example"}, {"authorization_endpoint": "javascript:x"}],
)  # fmt: skip
async def test_a_provider_that_lies_about_itself(make: Maker, issuer: Issuer, metadata: dict[str, str]) -> None:
    issuer.metadata = metadata
    async with browser(make(oidc(issuer.url))) as client:
        assert (await client.get("/login/oidc")).status_code == 503


async def test_a_provider_that_is_away(make: Maker) -> None:
    async with browser(make(oidc("http://127.0.0.1:1"))) as client:
        assert (await client.get("/login/oidc")).status_code == 503
        assert (await client.get("/login")).status_code == 200
        assert (await client.get("/login?out")).status_code == 200


async def test_without_a_provider_there_are_no_such_pages(app: Starlette) -> None:
    async with browser(app) as client:
        assert (await client.get("/login/oidc")).status_code == 404
        assert (await client.get("/login/callback?state=a&code=b")).status_code == 404


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"issuer": "http://provider.example"}, "https"),
        ({"issuer": "https://p.example", "client_id": ""}, "client_id"),
        ({"issuer": "https://p.example", "scopes": "profile"}, "openid"),
        ({"issuer": "https://p.example", "roles": {"a": "root"}}, "root"),
    ],
)
def test_settings(make: Maker, settings: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidSettings, match=word):
        make(Web(oidc=Oidc(**{"client_id": "desk", **settings})))
