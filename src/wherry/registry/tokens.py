"""Bearer tokens: asked for by GET or, with an identity token, by POST; kept until shortly before they expire."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import msgspec

from wherry.oci.distribution import Token
from wherry.registry.challenge import Challenge
from wherry.registry.clock import Clock
from wherry.registry.credentials import Credentials
from wherry.registry.errors import RegistryError, network_failure, refusal
from wherry.registry.proxies import proxy_for

TOKEN_BYTES_MAX = 1024 * 1024
# The token specification: a token lives at least 60 seconds; leave some for the request itself.
LIFETIME_SECONDS_MIN = 60
MARGIN_SECONDS = 10
CACHE_MAX = 256
CLIENT_ID = "docker"

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    bearer: str
    until: float


class Tokens:
    """Asks token servers, and remembers what they gave."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        """`session` is borrowed."""
        self._session = session
        self._clock = clock
        self._kept: dict[Key, _Kept] = {}

    async def bearer(
        self, challenge: Challenge, scopes: Iterable[str], credentials: Credentials, *, plain: bool
    ) -> str:
        """A token for these scopes. `plain`: the registry itself is spoken with unencrypted. Raises RegistryError."""
        if credentials.registry_token:
            return credentials.registry_token
        realm = challenge.parameters.get("realm", "")
        service = challenge.parameters.get("service", "")
        key = (realm, service, " ".join(scopes), f"{credentials.basic}{credentials.identity_token}")
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._clock.monotonic():
            return kept.bearer
        _check_realm(realm, credentials, plain=plain)
        token = await self._ask(realm, service, tuple(scopes), credentials)
        self._keep(key, token)
        return token.bearer

    def forget(self, bearer: str) -> None:
        """A registry did not accept this token; do not use it again."""
        self._kept = {key: kept for key, kept in self._kept.items() if kept.bearer != bearer}

    def _keep(self, key: Key, token: Token) -> None:
        if len(self._kept) >= CACHE_MAX:
            self._kept.pop(next(iter(self._kept)))
        lifetime = max(token.expires_in, LIFETIME_SECONDS_MIN) - MARGIN_SECONDS
        self._kept[key] = _Kept(token.bearer, self._clock.monotonic() + lifetime)

    async def _ask(self, realm: str, service: str, scopes: tuple[str, ...], credentials: Credentials) -> Token:
        call = self._post if credentials.identity_token else self._fetch
        try:
            status, reason, body = await call(realm, service, scopes, credentials)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RegistryError(f'Get "{realm}": {network_failure(error)}') from error
        if status >= 400:
            raise refusal(status, reason, body)
        return _read_token(body)

    async def _fetch(
        self, realm: str, service: str, scopes: tuple[str, ...], credentials: Credentials
    ) -> tuple[int, str, bytes]:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        if credentials.username:
            query.append(("account", credentials.username))
        headers = {"Authorization": credentials.basic} if credentials.basic else {}
        proxy = proxy_for(realm)
        async with self._session.get(
            realm, params=query, headers=headers, proxy=proxy, allow_redirects=False
        ) as answer:
            return answer.status, answer.reason or "", await _bounded(answer)

    async def _post(
        self, realm: str, service: str, scopes: tuple[str, ...], credentials: Credentials
    ) -> tuple[int, str, bytes]:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "client_id": CLIENT_ID,
            "service": service,
            "scope": " ".join(scopes),
        }
        async with self._session.post(realm, data=form, proxy=proxy_for(realm), allow_redirects=False) as answer:
            return answer.status, answer.reason or "", await _bounded(answer)


def _check_realm(realm: str, credentials: Credentials, *, plain: bool) -> None:
    parts = urlsplit(realm)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise RegistryError(f"invalid token auth challenge realm: {realm!r}")
    # A registry behind TLS must not make us send a password in clear text.
    if parts.scheme == "http" and not plain and (credentials.basic or credentials.identity_token):
        raise RegistryError(f"refusing to send credentials unencrypted to {realm!r}")


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > TOKEN_BYTES_MAX:
            raise RegistryError("token server's answer is too large")
    return bytes(body)


def _read_token(body: bytes) -> Token:
    try:
        token = msgspec.json.decode(body, type=Token, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError(f"unable to decode token response: {error}") from None
    if not token.bearer:
        raise RegistryError("authorization server did not include a token in the response")
    return token
