"""Writing to one repository: blobs that are there are not sent, those of a neighbour are mounted, manifests last.

A blob goes in one PATCH and is sealed by PUT with its digest (distribution-spec, "Pushing a blob in chunks"); when
the connection breaks, the upload's status says how much arrived and the rest follows.
"""

from collections.abc import AsyncIterator, Callable
from urllib.parse import quote, urlencode, urljoin

import aiohttp

from wherry.oci.digest import digest_of, is_digest
from wherry.oci.image import Descriptor
from wherry.registry.errors import Corrupt, Refused, RegistryError, UnexpectedAnswer
from wherry.registry.repository import Repository
from wherry.registry.transport import Call

# Makes the blob's bytes from an offset on.
Source = Callable[[int], AsyncIterator[bytes]]


async def has_blob(repository: Repository, digest: str) -> bool:
    """Whether the repository has it already. Raises RegistryError."""
    call = _call(repository, "HEAD", f"blobs/{digest}")
    try:
        async with repository.transport.open(call):
            return True
    except (UnexpectedAnswer, Refused) as error:
        if error.http_status == 404:
            return False
        raise


async def begin(repository: Repository, digest: str = "", *, mount_from: str = "") -> str:
    """Open an upload and return its address; empty when `digest` could be mounted from another repository."""
    query = f"?{urlencode({'mount': digest, 'from': mount_from})}" if mount_from else ""
    scopes = (*repository.scopes, *((f"repository:{mount_from}:pull",) if mount_from else ()))
    call = _call(repository, "POST", "blobs/uploads/", query=query, scopes=scopes, headers={"Content-Length": "0"})
    async with repository.transport.open(call) as answer:
        if answer.status == 201 and mount_from:
            return ""
        return _location(call, answer)


async def send(repository: Repository, location: str, source: Source, *, offset: int = 0) -> str:
    """Send the blob's bytes from an offset on; the address for what comes next. Raises RegistryError."""
    headers = {"Content-Type": "application/octet-stream"}
    call = Call(method="PATCH", url=location, headers=headers, body=lambda: source(offset), scopes=repository.scopes)
    async with repository.transport.open(call) as answer:
        return _location(call, answer)


async def received(repository: Repository, location: str) -> tuple[str, int]:
    """Ask an upload how many bytes it has: its address, and the offset to go on from. Raises RegistryError."""
    call = Call(method="GET", url=location, scopes=repository.scopes)
    async with repository.transport.open(call) as answer:
        last = answer.headers.get("Range", "").rpartition("-")[2]
        # `0-0` is what registries say for an empty upload; one byte more or less is safe to send again from 0.
        count = int(last) + 1 if last.isdecimal() and last != "0" else 0
        return (_location(call, answer) if "Location" in answer.headers else location), count


async def seal(repository: Repository, location: str, digest: str) -> None:
    """Close an upload: from now on the blob is there. Raises RegistryError."""
    joint = "&" if "?" in location else "?"
    call = Call(
        method="PUT",
        url=f"{location}{joint}digest={quote(digest)}",
        headers={"Content-Length": "0"},
        scopes=repository.scopes,
    )
    async with repository.transport.open(call):
        return


async def put_manifest(repository: Repository, tag_or_digest: str, body: bytes, media_type: str) -> Descriptor:
    """Store a manifest under a tag or its own digest. Raises RegistryError, Corrupt."""
    call = _call(
        repository, "PUT", f"manifests/{tag_or_digest}", headers={"Content-Type": media_type}, body=lambda: body
    )
    digest = digest_of(body)
    async with repository.transport.open(call) as answer:
        announced = answer.headers.get("Docker-Content-Digest", "")
    if is_digest(announced) and announced.startswith("sha256:") and announced != digest:
        raise Corrupt(f"registry stored the manifest as {announced}, not as {digest}")
    return Descriptor(media_type=media_type, digest=digest, size=len(body))


def _call(
    repository: Repository,
    method: str,
    path: str,
    *,
    query: str = "",
    scopes: tuple[str, ...] = (),
    headers: dict[str, str] | None = None,
    body: Callable[[], object] | None = None,
) -> Call:
    url = repository.transport.url(f"/v2/{repository.path}/{quote(path)}{query}")
    return Call(method=method, url=url, headers=headers or {}, body=body, scopes=scopes or repository.scopes)


def _location(call: Call, answer: aiohttp.ClientResponse) -> str:
    location = answer.headers.get("Location", "")
    if not location:
        raise RegistryError(f"{call.title}: the registry gave no upload location")
    return urljoin(call.url, location)
