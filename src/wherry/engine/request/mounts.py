"""The three ways to ask for a mount (`-v`, `--mount`, `--tmpfs`), parsed into one record each.

Rules and words as moby's `volume/mounts` (linux_parser.go): a later source for one destination is a clash.
"""

import posixpath
from collections.abc import Iterator

from wherry.engine.wording import told
from wherry.model.config import Config, DriverConfig, HostConfig, MountRequest
from wherry.model.errors import InvalidParameter
from wherry.model.ids import is_valid_name
from wherry.model.volume import MountPoint

PROPAGATIONS = ("rprivate", "private", "rslave", "slave", "rshared", "shared")
DEFAULT_PROPAGATION = "rprivate"
_ACCESS = {"rw": True, "ro": False}
_LABELS = ("z", "Z")
_CONSISTENCY = ("consistent", "cached", "delegated", "default")

# moby's `MergeTmpfsOptions` knows these flags of mount(8), and these options of tmpfs.
_MOUNT_FLAGS = frozenset(
    ("defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync", "remount",
     "mand", "nomand", "atime", "noatime", "diratime", "nodiratime", "bind", "rbind", "unbindable", "runbindable",
     "private", "rprivate", "shared", "rshared", "slave", "rslave", "relatime", "norelatime", "strictatime",
     "nostrictatime")
)  # fmt: skip
_TMPFS_VALUES = frozenset(("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))


def requested_mounts(config: Config, host_config: HostConfig) -> tuple[MountPoint, ...]:
    """All mounts that were asked for, unresolved: volumes may lack a name yet. Raises InvalidParameter.

    Order of precedence as dockerd's: binds, then `Mounts`, then tmpfs, then the image's and user's `Volumes`,
    which give way silently to anything at the same destination.
    """
    found: dict[str, MountPoint] = {}
    for mount in (*_binds(host_config), *_mounts(host_config), *_tmpfs(host_config)):
        if mount.destination in found:
            raise InvalidParameter(f"Duplicate mount point: {mount.destination}")
        found[mount.destination] = mount
    for destination in config.volumes or {}:
        # Images may say `VOLUME data`, which is below the root.
        target = clean_destination("/" + destination.lstrip("/"))
        found.setdefault(target, MountPoint(kind="volume", destination=target, driver=host_config.volume_driver))
    return tuple(found.values())


def parse_volumes_from(text: str) -> tuple[str, bool]:
    """`CONTAINER[:MODE]` as its name and whether its volumes may be written to. Raises InvalidParameter.

    How they are propagated and filled is up to that container.
    """
    name, _, mode = text.partition(":")
    writable, propagation, no_copy, _ = _parse_mode(mode, name)
    if propagation or no_copy:
        raise InvalidParameter(f"invalid mode: {mode}")
    return name, writable


def clean_destination(path: str) -> str:
    """A destination in its shortest form. Raises InvalidParameter for relative ones and for the root itself."""
    if not path.startswith("/"):
        raise InvalidParameter(f"invalid mount path: '{path}' mount path must be absolute")
    clean = posixpath.normpath(path)
    clean = "/" + clean.lstrip("/")
    if clean == "/":
        raise InvalidParameter("invalid specification: destination can't be '/'")
    return clean


def _binds(host_config: HostConfig) -> Iterator[MountPoint]:
    for bind in host_config.binds or ():
        yield _parse_bind(bind, host_config.volume_driver)


def _parse_bind(text: str, volume_driver: str) -> MountPoint:
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(parts[:2]):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    mode = parts[2] if len(parts) == 3 else ""
    writable, propagation, no_copy, recursive = _parse_mode(mode, text)
    is_bind = len(parts) > 1 and parts[0].startswith("/")
    kind = "bind" if is_bind else "volume"
    with told(f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\""):
        destination = clean_destination(parts[1] if len(parts) > 1 else parts[0])
        if is_bind and no_copy:
            raise InvalidParameter("field VolumeOptions must not be specified")
        if not is_bind and propagation:
            raise InvalidParameter("field BindOptions must not be specified")
    if len(parts) == 1:
        return MountPoint(kind="volume", destination=destination, driver=volume_driver)
    source = parts[0]
    if is_bind:
        return MountPoint(
            kind="bind",
            source=posixpath.normpath(source),
            destination=destination,
            mode=mode,
            writable=writable,
            propagation=propagation or DEFAULT_PROPAGATION,
            recursive=recursive,
        )
    _check_volume_name(source)
    return MountPoint(
        kind="volume",
        name=source,
        destination=destination,
        driver=volume_driver,
        # What a label would be; dockerd shows it for every volume that was not told otherwise.
        mode=mode or "z",
        writable=writable,
        no_copy=no_copy,
    )


def _parse_mode(mode: str, whole: str) -> tuple[bool, str, bool, bool]:
    """(writable, propagation, no copy-up, recursive) of `ro,rslave,nocopy`; each kind of word once."""
    writable, propagation, no_copy, recursive = True, "", False, True
    seen: set[str] = set()
    for word in mode.split(",") if mode else ():
        kind = _kind_of_word(word)
        if not kind or kind in seen:
            raise InvalidParameter(f"invalid mode: {mode}")
        seen.add(kind)
        match kind:
            case "access":
                writable = _ACCESS[word]
            case "propagation":
                propagation = word
            case "copy":
                no_copy = True
            case "label":
                continue  # no SELinux labels are set unless the daemon runs with SELinux; as dockerd, the word is fine
            case "recursion":
                recursive = word == "rbind"
    if whole.endswith(":"):
        raise InvalidParameter(f"invalid volume specification: '{whole}'")
    return writable, propagation, no_copy, recursive


def _kind_of_word(word: str) -> str:
    if word in _ACCESS:
        return "access"
    if word in PROPAGATIONS:
        return "propagation"
    if word in _LABELS:
        return "label"
    if word in _CONSISTENCY:
        return "consistency"
    return {"nocopy": "copy", "bind": "recursion", "rbind": "recursion"}.get(word, "")


def _check_volume_name(name: str) -> None:
    if len(name) == 1:
        words = "volume name is too short, names should be at least two alphanumeric characters"
        raise InvalidParameter(f"create {name}: {words}")
    if not is_valid_name(name):
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )


def _mounts(host_config: HostConfig) -> Iterator[MountPoint]:
    for request in host_config.mounts or ():
        yield _parse_mount(request)


def _parse_mount(request: MountRequest) -> MountPoint:
    _refuse_options_of_others(request)
    if not request.target:
        raise InvalidParameter(f"invalid mount config for type {_quoted(request.type)}: field Target must not be empty")
    try:
        destination = clean_destination(request.target)
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid mount config for type {_quoted(request.type)}: {error}") from None
    match request.type:
        case "bind":
            return _bind_mount(request, destination)
        case "volume":
            return _volume_mount(request, destination)
        case "tmpfs":
            return _tmpfs_mount(request, destination)
        case "image":
            return _image_mount(request, destination)
        case _:
            raise InvalidParameter(f"invalid mount config for type {_quoted(request.type)}: mount type unknown")


def _refuse_options_of_others(request: MountRequest) -> None:
    options = {
        "bind": ("BindOptions", request.bind_options),
        "volume": ("VolumeOptions", request.volume_options),
        "tmpfs": ("TmpfsOptions", request.tmpfs_options),
        "image": ("ImageOptions", request.image_options),
    }
    for kind, (name, said) in options.items():
        if said is not None and kind != request.type:
            raise InvalidParameter(f"{name} must not be specified on mount type {_quoted(request.type)}")


def _bind_mount(request: MountRequest, destination: str) -> MountPoint:
    if not request.source:
        raise InvalidParameter('invalid mount config for type "bind": field Source must not be empty')
    if not request.source.startswith("/"):
        raise InvalidParameter(
            f"invalid mount config for type \"bind\": invalid mount path: '{request.source}' "
            "mount path must be absolute"
        )
    options = request.bind_options
    propagation = (options.propagation if options else "") or DEFAULT_PROPAGATION
    if propagation not in PROPAGATIONS:
        raise InvalidParameter(f'invalid mount config for type "bind": invalid propagation mode: {propagation}')
    if options and options.read_only_force_recursive and not request.read_only:
        raise InvalidParameter("mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive")
    return MountPoint(
        kind="bind",
        source=posixpath.normpath(request.source),
        destination=destination,
        writable=not request.read_only,
        propagation=propagation,
        recursive=not (options and options.non_recursive),
        recursive_readonly=not (options and options.read_only_non_recursive),
        # `--mount` refuses a source that is not there, unless told to make it; `-v` always makes it.
        must_exist=not (options and options.create_mountpoint),
    )


def _volume_mount(request: MountRequest, destination: str) -> MountPoint:
    options = request.volume_options
    if request.source:
        _check_volume_name(request.source)
    subpath = options.subpath if options else ""
    if subpath and not request.source:
        raise InvalidParameter(
            'invalid mount config for type "volume": must not set Subpath when using anonymous volumes'
        )
    _check_subpath(subpath, "volume", "volume")
    driver = (options.driver_config if options else None) or DriverConfig()
    return MountPoint(
        kind="volume",
        name=request.source,
        destination=destination,
        driver=driver.name,
        labels=options.labels if options else None,
        driver_options=driver.options,
        mode="z",
        writable=not request.read_only,
        subpath=subpath,
        no_copy=bool(options and options.no_copy),
    )


def _check_subpath(subpath: str, kind: str, inside: str) -> None:
    clean = posixpath.normpath(subpath) if subpath else "."
    if subpath.startswith("/") or clean == ".." or clean.startswith("../"):
        raise InvalidParameter(
            f'invalid mount config for type "{kind}": subpath must be a relative path within the {inside}'
        )


def _image_mount(request: MountRequest, destination: str) -> MountPoint:
    """Always read-only. Its image is looked for when the container is created."""
    if not request.source:
        raise InvalidParameter('invalid mount config for type "image": field Source must not be empty')
    subpath = request.image_options.subpath if request.image_options else ""
    _check_subpath(subpath, "image", "image")
    return MountPoint(
        kind="image",
        name=request.source,
        destination=destination,
        writable=False,
        propagation=DEFAULT_PROPAGATION,
        subpath=subpath,
    )


def _tmpfs_mount(request: MountRequest, destination: str) -> MountPoint:
    if request.source:
        raise InvalidParameter('invalid mount config for type "tmpfs": field Source must not be specified')
    options = request.tmpfs_options
    words = ["ro"] if request.read_only else []
    if options and options.mode:
        words.append(f"mode={options.mode:o}")
    if options and options.size_bytes:
        words.append(f"size={options.size_bytes}")
    words += ["=".join(option) for option in (options.options if options else None) or ()]
    return MountPoint(kind="tmpfs", destination=destination, writable=not request.read_only, tmpfs_options=tuple(words))


def _tmpfs(host_config: HostConfig) -> Iterator[MountPoint]:
    for path, options in (host_config.tmpfs or {}).items():
        words = tuple(word for word in options.split(",") if word)
        _check_tmpfs_options(words)
        yield MountPoint(
            kind="tmpfs", destination=clean_destination(path), writable="ro" not in words, tmpfs_options=words
        )


def _check_tmpfs_options(words: tuple[str, ...]) -> None:
    for word in words:
        name, sign, _ = word.partition("=")
        if name not in (_TMPFS_VALUES if sign else _MOUNT_FLAGS):
            raise InvalidParameter(f'invalid tmpfs option "{name}"')


def _quoted(text: str) -> str:
    return f'"{text}"'
