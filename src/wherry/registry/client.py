"""The door to registries: from the domain of a name to the repositories that may serve it."""

import asyncio
from http.client import responses
from types import TracebackType
from typing import Self

import aiohttp

from wherry.model.errors import EngineError, Unauthorized
from wherry.oci.reference import Reference
from wherry.registry.clock import Clock, RealClock
from wherry.registry.credentials import ANONYMOUS, Credentials
from wherry.registry.errors import Refused, RegistryError, UnexpectedAnswer, Unreachable
from wherry.registry.hosts import Endpoint, RegistryOptions, endpoints
from wherry.registry.repository import Repository
from wherry.registry.tokens import Tokens
from wherry.registry.transport import Call, Transport

CONNECT_SECONDS = 30.0
# A registry that sends nothing at all for this long is taken for dead; the next attempt resumes.
SILENCE_SECONDS = 120.0
BUFFER_BYTES = 1024 * 1024
CONNECTIONS_PER_HOST_MAX = 16


class Registries:
    """All registries there are, spoken with over one pool of connections. Close it at the end."""

    def __init__(self, options: RegistryOptions | None = None, clock: Clock | None = None) -> None:
        """No connection is made before it is needed."""
        self.options = options or RegistryOptions()
        self.clock: Clock = clock or RealClock()
        self._session: aiohttp.ClientSession | None = None
        self._tokens: Tokens | None = None

    async def repositories(
        self, reference: Reference, credentials: Credentials = ANONYMOUS, *, push: bool = False
    ) -> tuple[Repository, ...]:
        """Where to find a reference's repository, best first; mirrors are never given credentials."""
        return tuple(
            Repository(self._transport(place, ANONYMOUS if place.is_mirror else credentials), reference.path, push=push)
            for place in await endpoints(reference.domain, self.options, mirrored=not push)
        )

    async def check_login(self, domain: str, credentials: Credentials) -> None:
        """See whether a registry accepts these credentials. Raises Unauthorized, RegistryError."""
        last: RegistryError = RegistryError(f"no endpoint for {domain}")
        for place in await endpoints(domain, self.options, mirrored=False):
            transport = self._transport(place, credentials)
            try:
                await transport.ping()
                async with transport.open(Call(method="GET", url=transport.url("/v2/"))):
                    return
            except Unreachable as error:
                last = error
            except (Refused, UnexpectedAnswer) as error:
                raise _login_failure(transport.url("/v2/"), error.http_status) from None
        raise last

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            # aiohttp closes TLS transports in callbacks of the loop's next rounds.
            await asyncio.sleep(0)
            self._session = None
            self._tokens = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _transport(self, place: Endpoint, credentials: Credentials) -> Transport:
        if self._session is None or self._tokens is None:
            self._session = _new_session()
            self._tokens = Tokens(self._session, self.clock)
        return Transport(self._session, self._tokens, self.clock, place, credentials)


def _login_failure(url: str, status: int) -> EngineError:
    """In dockerd's words, which say the status alone."""
    words = f"login attempt to {url} failed with status: {status} {responses.get(status, '')}".rstrip()
    return Unauthorized(words) if status in {401, 403} else RegistryError(words)


def _new_session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit_per_host=CONNECTIONS_PER_HOST_MAX, limit=0)
    return aiohttp.ClientSession(
        timeout=timeout,
        connector=connector,
        auto_decompress=False,
        read_bufsize=BUFFER_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
