"""HTTP with one endpoint on behalf of one user: logging in, redirects, waiting when told to.

Authorization goes to the endpoint's own origin and nowhere else, whatever `Location` says (CVE-2020-15157).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from wherry.registry.challenge import Challenge, parse_challenges
from wherry.registry.clock import Clock
from wherry.registry.credentials import Credentials
from wherry.registry.errors import (
    LoginFailed,
    NoCredentials,
    RegistryError,
    UnexpectedAnswer,
    Unreachable,
    network_failure,
    refusal,
)
from wherry.registry.hosts import Endpoint
from wherry.registry.proxies import proxy_for
from wherry.registry.tokens import Tokens

REDIRECTS_MAX = 10
# A registry that asks for more patience than this is answered with its own words.
RETRY_AFTER_SECONDS_MAX = 60.0
BUSY_ATTEMPTS_MAX = 5
ERROR_BODY_BYTES_MAX = 64 * 1024
USER_AGENT = "wherry"

_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a value. `body` makes the body anew for each attempt."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    scopes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How Go's net/http names a failed request: `Get "https://…"`."""
        return f'{self.method.capitalize()} "{self.url}"'


class Transport:
    """Speaks with one endpoint; knows its challenge after the first answer of 401."""

    def __init__(
        self, session: aiohttp.ClientSession, tokens: Tokens, clock: Clock, endpoint: Endpoint, credentials: Credentials
    ) -> None:
        """Session and tokens are borrowed."""
        self._session = session
        self._tokens = tokens
        self._clock = clock
        self._credentials = credentials
        self._challenges: tuple[Challenge, ...] = ()
        self.endpoint = endpoint

    def url(self, path: str) -> str:
        """The address of `/v2/…` at this endpoint; an absolute one, such as a Location, stays."""
        return path if "://" in path else f"{self.endpoint.base}{path}"

    async def ping(self) -> None:
        """See that the endpoint speaks HTTP, and learn how it wants to be logged in to. Raises Unreachable."""
        call = Call(method="GET", url=self.url("/v2/"))
        async with self._send(call, call.url, authorization="") as answer:
            if answer.status == 401:
                self._challenges = parse_challenges(answer.headers.getall("WWW-Authenticate", []))

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a call, below 400, after logging in and following redirects. Raises RegistryError."""
        for attempt in range(BUSY_ATTEMPTS_MAX):
            async with self._authorised(call) as answer:
                if answer.status < 400:
                    yield answer
                    return
                wait = _patience(answer, attempt)
                if wait is None:
                    raise await _refused(answer)
            await self._clock.sleep(wait)

    @asynccontextmanager
    async def _authorised(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        authorization = await self._authorization(call)
        async with self._follow(call, authorization) as answer:
            if answer.status != 401 or not self._may_log_in_again(answer, authorization):
                yield answer
                return
        async with self._follow(call, await self._authorization(call)) as answer:
            yield answer

    def _may_log_in_again(self, answer: aiohttp.ClientResponse, authorization: str) -> bool:
        """A token may have expired half-way; or this is the first that is heard of logging in."""
        found = parse_challenges(answer.headers.getall("WWW-Authenticate", []))
        self._challenges = found or self._challenges
        if authorization.startswith("Bearer "):
            self._tokens.forget(authorization.removeprefix("Bearer "))
            return not self._credentials.registry_token and not _is_out_of_scope(found)
        return not authorization and bool(found)

    async def _authorization(self, call: Call) -> str:
        """The header that the endpoint's challenge asks for. Raises RegistryError under the call's title."""
        try:
            return await self._answer_challenge(call)
        except RegistryError as error:
            raise LoginFailed(f"{call.title}: {error}", is_final=error.is_final) from error

    async def _answer_challenge(self, call: Call) -> str:
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        for challenge in self._challenges:
            if challenge.scheme == "bearer":
                plain = self.endpoint.is_plain
                return f"Bearer {await self._tokens.bearer(challenge, call.scopes, self._credentials, plain=plain)}"
        if any(challenge.scheme == "basic" for challenge in self._challenges):
            if not self._credentials.basic:
                raise NoCredentials("no basic auth credentials")
            return self._credentials.basic
        return ""

    @asynccontextmanager
    async def _follow(self, call: Call, authorization: str) -> AsyncIterator[aiohttp.ClientResponse]:
        url = call.url
        for _ in range(REDIRECTS_MAX):
            async with self._send(call, url, authorization=authorization) as answer:
                target = _redirect(call, url, answer)
                if target is None:
                    yield answer
                    return
            url = target
        raise RegistryError(f"{call.title}: stopped after {REDIRECTS_MAX} redirects")

    @asynccontextmanager
    async def _send(self, call: Call, url: str, *, authorization: str) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **call.headers}
        own = self._is_own(url)
        if authorization and own:
            headers["Authorization"] = authorization
        try:
            answer = await self._session.request(
                call.method,
                url,
                headers=headers,
                data=call.body() if call.body else None,
                ssl=self.endpoint.tls if own and self.endpoint.tls else True,
                proxy=proxy_for(url),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{call.title}: {network_failure(error)}") from error
        except ValueError as error:
            raise UnexpectedAnswer(f"{call.title}: {error}", 400) from error
        try:
            yield answer
        finally:
            # A body that nobody read to its end makes the connection useless; close() gives it up.
            answer.close() if not answer.content.at_eof() else answer.release()

    def _is_own(self, url: str) -> bool:
        return _origin(url) == _origin(self.endpoint.base)


def _is_out_of_scope(challenges: tuple[Challenge, ...]) -> bool:
    return any(challenge.parameters.get("error") == "insufficient_scope" for challenge in challenges)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _redirect(call: Call, url: str, answer: aiohttp.ClientResponse) -> str | None:
    location = answer.headers.get("Location", "")
    if answer.status not in _REDIRECTS or not location or call.method not in {"GET", "HEAD"}:
        return None
    target = urljoin(url, location)
    if urlsplit(target).scheme not in {"http", "https"}:
        raise RegistryError(f"{call.title}: unsupported protocol scheme in redirect")
    return target


def _patience(answer: aiohttp.ClientResponse, attempt: int) -> float | None:
    """How long to wait before asking again; None when that is of no use."""
    if answer.status not in {429, 503} or attempt == BUSY_ATTEMPTS_MAX - 1:
        return None
    told = answer.headers.get("Retry-After", "")
    if not told.isascii() or not told.isdecimal():
        return None
    seconds = float(told[:9])
    return seconds if seconds <= RETRY_AFTER_SECONDS_MAX else None


async def _refused(answer: aiohttp.ClientResponse) -> RegistryError:
    try:
        body = await answer.content.read(ERROR_BODY_BYTES_MAX)
    except (aiohttp.ClientError, TimeoutError):
        body = b""
    challenges = parse_challenges(answer.headers.getall("WWW-Authenticate", []))
    bearer_error = next((found.parameters.get("error", "") for found in challenges if found.scheme == "bearer"), "")
    return refusal(answer.status, answer.reason or "", body, challenge_error=bearer_error)
