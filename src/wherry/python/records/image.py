"""What an engine says about images, and while it works on them."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from wherry.python.records.record import RAW, Record, Whole


class ImageSummary(Whole, frozen=True, kw_only=True, rename="pascal"):
    """An image in a list; `size` in bytes."""

    id: str
    repo_tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    parent_id: str = ""
    created: datetime | None = None
    size: int = 0
    labels: dict[str, str] = {}


class ImageConfig(Record, frozen=True, kw_only=True, rename="pascal"):
    """What containers are made of when they do not say otherwise."""

    command: tuple[str, ...] = field(name="Cmd", default=())
    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    user: str = ""
    working_dir: str = ""
    exposed_ports: dict[str, Any] = {}
    volumes: dict[str, Any] = {}
    stop_signal: str = ""


class ImageInfo(Whole, frozen=True, kw_only=True, rename="pascal"):
    """All about one image; `size` in bytes."""

    id: str
    repo_tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    created: datetime | None = None
    author: str = ""
    comment: str = ""
    architecture: str = ""
    variant: str = ""
    os: str = ""
    size: int = 0
    config: ImageConfig = ImageConfig()


class HistoryEntry(Whole, frozen=True, kw_only=True, rename="pascal"):
    """One step that an image was made by."""

    id: str = ""
    created: datetime | None = None
    created_by: str = ""
    tags: tuple[str, ...] = ()
    size: int = 0
    comment: str = ""


class Removed(Record, frozen=True, kw_only=True, rename="pascal"):
    """One thing that a removal did: a name taken away, or a layer deleted."""

    untagged: str = ""
    deleted: str = ""


class ProgressDetail(Struct, frozen=True, kw_only=True):
    """How far it is, in bytes; a total of 0 is not known."""

    current: int = 0
    total: int = 0


class Progress(Struct, frozen=True, kw_only=True):
    """One message while an engine pulls, pushes, loads or imports; `id` is a layer's."""

    status: str = ""
    id: str = ""
    stream: str = ""
    detail: ProgressDetail = field(name="progressDetail", default=ProgressDetail())
    raw: dict[str, Any] = field(name=RAW, default_factory=dict)
