"""Images as the engine knows them: an id, a configuration, layers, and the names that point at it."""

from msgspec import Struct

from wherry.model.config import Config


class History(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of an image's making (OCI image-spec config.md, `history`)."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class Layer(Struct, frozen=True, kw_only=True):
    """One layer: the digest of its uncompressed tar, of all up to it, and the size unpacked in bytes.

    `blob` is the digest of the layer's tar as the content store keeps it, compressed or not.
    """

    diff_id: str
    chain_id: str
    size_bytes: int
    blob: str = ""


class Image(Struct, frozen=True, kw_only=True):
    """An image in the store. `id` is the digest of its configuration blob (`sha256:…`).

    `references` are familiar names with a tag (`busybox:latest`), `digests` names with a digest
    (`busybox@sha256:…`); both may be empty. `created` is RFC 3339 as the configuration says it.
    `size_bytes` sums the unpacked layers. `manifest` is the digest of the manifest in the content store,
    `manifest_type` its media type.
    """

    id: str
    config: Config
    architecture: str
    os: str
    variant: str = ""
    created: str = ""
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    layers: tuple[Layer, ...] = ()
    history: tuple[History, ...] = ()
    references: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    parent: str = ""
    last_tagged_ns: int = 0
    manifest: str = ""
    manifest_type: str = ""

    @property
    def chain_id(self) -> str:
        """The chain id of the whole stack (OCI image-spec config.md), empty for an image without layers."""
        return self.layers[-1].chain_id if self.layers else ""


class Tag(Struct, frozen=True, kw_only=True):
    """A name that points at an image: canonical, with a tag or a digest (`docker.io/library/busybox:latest`)."""

    reference: str
    image_id: str
    tagged_ns: int = 0
