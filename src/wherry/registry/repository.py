"""Reading one repository of a registry: manifests, blobs, tags; nothing is believed before its digest is right."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import aiohttp
import msgspec

from wherry.oci.digest import digest_of, is_digest, split_digest
from wherry.oci.distribution import TagList
from wherry.oci.image import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1_SIGNED,
    MANIFEST_BYTES_MAX,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
)
from wherry.registry.errors import Corrupt, Interrupted, Refused, UnexpectedAnswer, network_failure
from wherry.registry.transport import Call, Transport

ACCEPT = ", ".join((OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_SCHEMA1_SIGNED))
TAG_PAGES_MAX = 1000
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A manifest as it was served: the media type said, its digest, its very bytes."""

    media_type: str
    digest: str
    body: bytes


class Download:
    """A blob's body on its way. `offset` is where it begins: 0 when the registry did not honour a range."""

    def __init__(self, call: Call, answer: aiohttp.ClientResponse, offset: int) -> None:
        """Made by `Repository.download`."""
        self._call = call
        self._answer = answer
        self.offset = offset

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes in pieces. Raises Interrupted when the connection ends early."""
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Interrupted(network_failure(error)) from error


class Repository:
    """One repository at one endpoint. `path` is its name there: `library/busybox`."""

    def __init__(self, transport: Transport, path: str, *, push: bool = False) -> None:
        """`push` asks for the right to write along with each token."""
        self.transport = transport
        self.path = path
        self.scopes = (f"repository:{path}:{'pull,push' if push else 'pull'}",)

    @property
    def is_mirror(self) -> bool:
        """Whether another endpoint is to be asked when this one does not know."""
        return self.transport.endpoint.is_mirror

    async def manifest(self, tag_or_digest: str) -> Served:
        """The manifest that a tag or digest names. Raises RegistryError, Corrupt.

        A tag is asked for by HEAD first: that is free of charge at Docker Hub, where a GET counts as a pull. What a
        registry announces as the digest must be the digest of what it serves (dockerd ignores a difference).
        """
        announced = tag_or_digest if is_digest(tag_or_digest) else await self._announced_digest(tag_or_digest)
        call = self._call("GET", f"manifests/{announced or tag_or_digest}", accept=ACCEPT)
        async with self.transport.open(call) as answer:
            body = await _bounded(call, answer, MANIFEST_BYTES_MAX)
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            announced = announced or answer.headers.get("Docker-Content-Digest", "")
        digest = digest_of(body, split_digest(announced)[0] if is_digest(announced) else "sha256")
        if announced and digest != announced:
            raise Corrupt(f"manifest verification failed for digest {announced}")
        return Served(media_type=media_type, digest=digest, body=body)

    async def _announced_digest(self, tag: str) -> str:
        """The digest a registry announces for a tag; empty when it does not answer HEAD. Raises RegistryError."""
        call = self._call("HEAD", f"manifests/{tag}", accept=ACCEPT)
        try:
            async with self.transport.open(call) as answer:
                announced = answer.headers.get("Docker-Content-Digest", "")
        except (UnexpectedAnswer, Refused) as error:
            if error.http_status == 429:
                raise
            return ""  # the body, and so the reason, comes with GET only
        return announced if is_digest(announced) else ""

    async def blob(self, descriptor: Descriptor, *, bytes_max: int) -> bytes:
        """A small blob, verified. Raises RegistryError, Corrupt."""
        if descriptor.size > bytes_max:
            raise Corrupt(f"{descriptor.digest} is {descriptor.size} bytes large, more than {bytes_max}")
        call = self._call("GET", f"blobs/{descriptor.digest}")
        async with self.transport.open(call) as answer:
            body = await _bounded(call, answer, bytes_max)
        if digest_of(body, split_digest(descriptor.digest)[0]) != descriptor.digest:
            raise Corrupt(f"filesystem layer verification failed for digest {descriptor.digest}")
        return body

    @asynccontextmanager
    async def download(self, descriptor: Descriptor, *, offset: int = 0) -> AsyncIterator[Download]:
        """A blob's bytes from an offset on, as far as the registry can; unverified. Raises RegistryError."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        call = self._call("GET", f"blobs/{descriptor.digest}", headers=headers)
        async with self.transport.open(call) as answer:
            yield Download(call, answer, _start(answer) if answer.status == 206 else 0)

    async def tags(self) -> list[str]:
        """All tags, in the registry's order. Raises RegistryError."""
        found: list[str] = []
        call = self._call("GET", "tags/list")
        for _ in range(TAG_PAGES_MAX):
            async with self.transport.open(call) as answer:
                found += _read_tags(await _bounded(call, answer, MANIFEST_BYTES_MAX))
                following = answer.links.get("next")
            if following is None:
                break
            call = Call(method="GET", url=urljoin(call.url, str(following["url"])), scopes=self.scopes)
        return found

    def _call(self, method: str, path: str, *, accept: str = "", headers: dict[str, str] | None = None) -> Call:
        sent = {**(headers or {}), **({"Accept": accept} if accept else {})}
        url = self.transport.url(f"/v2/{self.path}/{quote(path)}")
        return Call(method=method, url=url, headers=sent, scopes=self.scopes)


async def _bounded(call: Call, answer: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > bytes_max:
                raise Corrupt(f"{call.title}: answer is larger than {bytes_max} bytes")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Interrupted(f"{call.title}: {network_failure(error)}") from error
    return bytes(body)


def _start(answer: aiohttp.ClientResponse) -> int:
    """Where a partial answer begins, as its Content-Range says."""
    unit, _, span = answer.headers.get("Content-Range", "").partition(" ")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdecimal():
        raise UnexpectedAnswer("partial content without a valid Content-Range", answer.status)
    return int(start)


def _read_tags(body: bytes) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(body, type=TagList).tags or ()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"invalid tag list: {error}") from None
