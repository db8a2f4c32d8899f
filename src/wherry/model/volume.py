"""Volumes, and where in a container things are mounted."""

from msgspec import Struct


class Volume(Struct, frozen=True, kw_only=True):
    """A named place for data that outlives containers. `mountpoint` is a path on the host."""

    name: str
    driver: str
    mountpoint: str
    created_ns: int
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    anonymous: bool = False


class MountPoint(Struct, frozen=True, kw_only=True):
    """One mount of a container, resolved: what `inspect` shows under Mounts.

    `kind` is bind, volume, tmpfs or image; `source` a path on the host (empty for tmpfs); `name` and `driver` are a
    volume's, and so are `labels` and `driver_options`, for it to be made with; `mode` the options as the user wrote
    them; `propagation` one of rprivate private rslave slave rshared shared.
    """

    kind: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    labels: dict[str, str] | None = None
    driver_options: dict[str, str] | None = None
    mode: str = ""
    writable: bool = True
    propagation: str = ""
    recursive: bool = True
    recursive_readonly: bool = True
    subpath: str = ""
    tmpfs_options: tuple[str, ...] = ()
    no_copy: bool = False
    must_exist: bool = False
