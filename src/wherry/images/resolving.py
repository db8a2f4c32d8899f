"""From a name to one manifest for one platform, at the first endpoint that can answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from wherry.model.errors import EngineError, InvalidParameter, NotFound
from wherry.oci.image import (
    CONFIGS,
    LAYERS,
    Descriptor,
    ImageSpecError,
    Index,
    Manifest,
    Platform,
    Schema1Error,
    parse_document,
)
from wherry.oci.platform import choose, format_platform, host_platform
from wherry.oci.reference import Reference
from wherry.registry.errors import Refused, RegistryError, Unreachable
from wherry.registry.repository import Repository, Served

T = TypeVar("T")

SCHEMA1_WORDS = (
    "[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support is disabled by "
    "default and will be removed in an upcoming release. Suggest the author of {} to upgrade the image to the OCI "
    "Format or Docker Image manifest v2, schema 2. More information at "
    "https://docs.docker.com/go/deprecated-image-specs/"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """An image at a registry. `digest` is what the name stood for: its manifest, or the index above it."""

    digest: str
    manifest: Manifest
    manifest_digest: str
    manifest_body: bytes


async def from_first(
    repositories: Sequence[Repository],
    reference: Reference,
    call: Callable[[Repository], Awaitable[T]],
    *,
    is_reading: bool = True,
) -> T:
    """Ask the endpoints in order until one can answer (moby distribution/pull.go). Raises EngineError.

    A mirror's failure is never final. Plain HTTP is not tried where TLS was spoken. Refusals are told in the words
    that dockerd has for reading.
    """
    last: EngineError = NotFound(f"no endpoint for {reference.familiar_name}")
    is_tls_confirmed = False
    for repository in repositories:
        if repository.transport.endpoint.is_plain and is_tls_confirmed and not repository.is_mirror:
            continue
        try:
            await repository.transport.ping()
            is_tls_confirmed |= not repository.transport.endpoint.is_plain and not repository.is_mirror
            return await call(repository)
        except Unreachable as error:
            last = error
        except (RegistryError, NotFound, ImageSpecError) as error:
            last = _translated(error, reference) if is_reading or isinstance(error, ImageSpecError) else error
            if not repository.is_mirror:
                raise last from error
    raise last


def _translated(error: Exception, reference: Reference) -> EngineError:
    """Dockerd's words for what a registry says of a name (moby distribution/errors.go)."""
    match error:
        case Schema1Error():
            return InvalidParameter(SCHEMA1_WORDS.format(reference))
        case ImageSpecError():
            return InvalidParameter(f"invalid image {reference.familiar}: {error}")
        case Refused(code="DENIED"):
            return NotFound(
                f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
                f"'docker login': {error}"
            )
        case Refused(code="MANIFEST_UNKNOWN"):
            return NotFound(f"manifest for {reference.familiar} not found: {error}")
        case Refused(code="NAME_UNKNOWN"):
            return NotFound(f"repository {reference.familiar_name} not found: {error}")
        case EngineError():
            return error
        case _:
            return EngineError(str(error))


async def resolve(repository: Repository, reference: Reference, wanted: Platform | None) -> Resolved:
    """The manifest that a tag or digest means for a platform. Raises RegistryError, ImageSpecError, NotFound."""
    served = await repository.manifest(reference.digest or reference.tag)
    document = parse_document(served.body, served.media_type)
    asked_for = served.digest
    if isinstance(document, Index):
        served = await repository.manifest(_choose(document, wanted).digest)
        document = parse_document(served.body, served.media_type)
    return _checked(document, served, asked_for)


def _choose(index: Index, wanted: Platform | None) -> Descriptor:
    platform = wanted or host_platform()
    found = choose(index.manifests, platform)
    if found is None:
        raise NotFound(
            f"no matching manifest for {format_platform(platform)} in the manifest list entries: "
            "no match for platform in manifest: not found"
        )
    return found


def _checked(document: Manifest | Index, served: Served, asked_for: str) -> Resolved:
    if isinstance(document, Index):
        raise ImageSpecError("an index inside an index")
    kind = document.config.media_type
    if kind not in CONFIGS:
        raise ImageSpecError(f"unsupported media type {document.artifact_type or kind}: not a container image")
    for layer in document.layers:
        if layer.media_type not in LAYERS:
            raise ImageSpecError(f"unsupported layer media type {layer.media_type}")
    return Resolved(digest=asked_for, manifest=document, manifest_digest=served.digest, manifest_body=served.body)


def first_failure(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that made a group of tasks fail."""
    found = failures.exceptions[0]
    return first_failure(found) if isinstance(found, BaseExceptionGroup) else found
