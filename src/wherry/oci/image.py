"""The image-spec's manifest, index, descriptor and configuration as records, Docker's schema 2 beside them.

Strict: a wrong type raises `ImageSpecError` with the path of the field; unknown fields are ignored. A document that
could be read as two kinds at once (`layers` and `manifests`), or whose own media type is not the one it was served
with, is refused, so that two readers can never see two images in one digest (CVE-2021-41190).
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from wherry.oci.digest import DigestError, check_digest

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

MANIFESTS = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
INDEXES = frozenset({DOCKER_INDEX, OCI_INDEX})
SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
CONFIGS = frozenset({DOCKER_CONFIG, OCI_CONFIG})
LAYERS = frozenset(
    {
        DOCKER_LAYER,
        DOCKER_LAYER_GZIP,
        DOCKER_LAYER_FOREIGN,
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        OCI_LAYER,
        OCI_LAYER_GZIP,
        OCI_LAYER_ZSTD,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)
FOREIGN_LAYERS = frozenset(
    kind for kind in LAYERS if kind == DOCKER_LAYER_FOREIGN or kind.startswith("application/vnd.oci.image.layer.non")
)

# The bounds that containerd and dockerd put on documents; a layer's size is bounded by the disk.
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
CONFIG_BYTES_MAX = 8 * 1024 * 1024
LAYERS_MAX = 512

Strings = tuple[str, ...]
T = TypeVar("T")


class ImageSpecError(ValueError):
    """A document that is not a valid image manifest, index or configuration; the message names the field."""


class Schema1Error(ImageSpecError):
    """The image format of 2014, which nobody should read any more."""


class _Spec(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A record with camelCase keys that leaves out what was not said."""


class Platform(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an image runs on (image-index.md, `platform`)."""

    architecture: str = ""
    os: str = ""
    os_version: str = field(default="", name="os.version")
    os_features: Strings | None = field(default=None, name="os.features")
    variant: str = ""


class Descriptor(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Where some content is: its media type, digest and size in bytes (descriptor.md)."""

    media_type: str
    digest: str
    size: int
    urls: Strings | None = None
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str = ""

    def __post_init__(self) -> None:
        """Refuse what must never become a path or a length. Raises ImageSpecError."""
        try:
            check_digest(self.digest)
        except DigestError as error:
            raise ImageSpecError(str(error)) from None
        if self.size < 0:
            raise ImageSpecError(f"negative size of {self.digest}: {self.size}")


class Manifest(_Spec, frozen=True, kw_only=True, rename="camel"):
    """One image for one platform (manifest.md; Docker's schema 2 has the same shape)."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] | None = None


class Index(_Spec, frozen=True, kw_only=True, rename="camel"):
    """One image for several platforms (image-index.md; Docker's manifest list has the same shape)."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str = ""
    annotations: dict[str, str] | None = None


class History(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of an image's making (config.md, `history`)."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFs(Struct, frozen=True, kw_only=True):
    """The digests of the uncompressed layers, lowest first."""

    type: str = "layers"
    diff_ids: Strings | None = None


class ImageConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The configuration blob (config.md); `config` is left as it is: Docker knows more keys than the spec."""

    architecture: str = ""
    os: str = ""
    rootfs: RootFs = field(default_factory=RootFs)
    created: str | None = None
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    variant: str = ""
    config: dict[str, Any] | None = None
    history: tuple[History, ...] | None = None

    @property
    def diff_ids(self) -> Strings:
        """The layers' digests, lowest first."""
        return self.rootfs.diff_ids or ()

    @property
    def platform(self) -> Platform:
        """What it says it runs on; the system is linux unless said."""
        return Platform(architecture=self.architecture, os=self.os or "linux", variant=self.variant)


class _Document(Struct):
    """Just enough of any document to tell its kind."""

    schemaVersion: int = 0  # noqa: N815 - the wire's name
    mediaType: str = ""  # noqa: N815 - the wire's name
    manifests: Any = None
    layers: Any = None
    config: Any = None


def parse_document(data: bytes, media_type: str = "") -> Manifest | Index:
    """A manifest or an index, whichever it is; `media_type` is what it was served as. Raises ImageSpecError."""
    if len(data) > MANIFEST_BYTES_MAX:
        raise ImageSpecError(f"manifest is larger than {MANIFEST_BYTES_MAX} bytes")
    shape = _decode(data, _Document)
    if shape.schemaVersion == 1 or media_type in SCHEMA1:
        raise Schema1Error("image manifest version 2, schema 1")
    kind = media_type if media_type in MANIFESTS | INDEXES else shape.mediaType
    if shape.schemaVersion != 2:
        raise ImageSpecError(f"unsupported manifest schema version: {shape.schemaVersion}")
    if shape.mediaType and kind != shape.mediaType:
        raise ImageSpecError(f"manifest says it is {shape.mediaType} but was served as {kind}")
    if shape.manifests is not None and (shape.layers is not None or shape.config is not None):
        raise ImageSpecError("ambiguous manifest: it has manifests beside layers or config")
    if kind in INDEXES or (not kind and shape.manifests is not None):
        return _decode(data, Index)
    if kind and kind not in MANIFESTS:
        raise ImageSpecError(f"unsupported manifest media type: {kind}")
    return _checked(_decode(data, Manifest))


def parse_manifest(data: bytes) -> Manifest:
    """A manifest and nothing else. Raises ImageSpecError."""
    document = parse_document(data)
    if not isinstance(document, Manifest):
        raise ImageSpecError("an index where a manifest belongs")
    return document


def parse_config(data: bytes) -> ImageConfig:
    """The configuration blob of an image. Raises ImageSpecError."""
    config = _decode(data, ImageConfig)
    if config.rootfs.type != "layers":
        raise ImageSpecError(f"unsupported rootfs type: {config.rootfs.type!r}")
    try:
        for diff_id in config.diff_ids:
            check_digest(diff_id)
    except DigestError as error:
        raise ImageSpecError(f"rootfs.diff_ids: {error}") from None
    return config


def encode(record: Struct) -> bytes:
    """A record as JSON, the same bytes for the same record."""
    return msgspec.json.encode(record)


def _checked(manifest: Manifest) -> Manifest:
    if len(manifest.layers) > LAYERS_MAX:
        raise ImageSpecError(f"manifest has {len(manifest.layers)} layers, more than {LAYERS_MAX}")
    return manifest


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ImageSpecError(f"invalid {kind.__name__.strip('_').lower()}: {error}") from None
