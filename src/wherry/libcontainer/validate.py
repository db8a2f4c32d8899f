"""What a runtime-spec may ask for here, checked before anything is made; each refusal names the field."""

from wherry.libcontainer.errors import InvalidSpec
from wherry.libcontainer.namespaces import kinds
from wherry.libcontainer.options import parse_options
from wherry.oci.runtime import Linux, Process, Spec

_DEVICE_TYPES = frozenset("cbup")
_PROPAGATIONS = frozenset(
    ("", "shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable")
)

# The sysctls of an ipc namespace (ipc_namespaces(7)).
_IPC_SYSCTLS = frozenset(
    (
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    )
)


def validate(spec: Spec, *, has_netns: bool = False) -> None:
    """Check a whole spec; `has_netns` when a network namespace comes by descriptor. Raises InvalidSpec."""
    if spec.root is None:
        raise InvalidSpec("Root must be specified")
    if spec.process is None:
        raise InvalidSpec("process property must be set")
    validate_process(spec.process)
    linux = spec.linux or Linux()
    found = kinds(spec)
    if "mount" not in found or found["mount"]:
        raise InvalidSpec("a mount namespace of the container's own is required")
    if found.get("time") and linux.time_offsets:
        raise InvalidSpec("time namespace offsets cannot be set when joining an existing time namespace")
    if linux.time_offsets and "time" not in found:
        raise InvalidSpec("time namespace offsets specified, but time namespace isn't enabled in the config")
    _validate_names(spec, found)
    _validate_user(linux, found)
    _validate_sysctls(linux.sysctl or {}, found, has_netns=has_netns)
    _validate_rest(linux)
    _validate_mounts(spec)


def validate_process(process: Process) -> None:
    """Check a `process` object. Raises InvalidSpec."""
    if not process.cwd:
        raise InvalidSpec("Cwd property must not be empty")
    if not process.cwd.startswith("/"):
        raise InvalidSpec("Cwd must be an absolute path")
    if not process.args:
        raise InvalidSpec("args must not be empty")
    if any("\0" in text for text in (*process.args, process.cwd)):
        raise InvalidSpec("args must not contain null bytes")
    for one in process.rlimits:
        if one.soft > one.hard:
            raise InvalidSpec(f"rlimit {one.type}: the soft limit {one.soft} is over the hard one {one.hard}")


def _validate_names(spec: Spec, found: dict[str, str]) -> None:
    if spec.hostname and "uts" not in found:
        raise InvalidSpec("unable to set hostname without a private UTS namespace")
    if spec.domainname and "uts" not in found:
        raise InvalidSpec("unable to set domainname without a private UTS namespace")


def _validate_user(linux: Linux, found: dict[str, str]) -> None:
    mapped = bool(linux.uid_mappings or linux.gid_mappings)
    if mapped and "user" not in found:
        raise InvalidSpec("user namespace mappings specified, but user namespace isn't enabled in the config")
    if found.get("user") == "" and not (linux.uid_mappings and linux.gid_mappings):
        raise InvalidSpec("user namespaces enabled, but no uid and gid mappings found")


def _validate_sysctls(sysctls: dict[str, str], found: dict[str, str], *, has_netns: bool) -> None:
    for name in sysctls:
        dotted = name.replace("/", ".")
        if ".." in dotted or "\0" in name:
            raise InvalidSpec(f'sysctl "{name}" is not a valid name')
        if dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
            allowed = "ipc" in found
        elif dotted.startswith("net."):
            allowed = "network" in found or has_netns
        elif dotted == "kernel.domainname":
            allowed = "uts" in found
        elif dotted == "kernel.hostname":
            raise InvalidSpec(f'sysctl "{name}" is not allowed as it conflicts with the OCI "hostname" field')
        else:
            allowed = dotted.startswith("user.") and "user" in found
        if not allowed:
            raise InvalidSpec(f'sysctl "{name}" is not in a separate kernel namespace')


def _validate_rest(linux: Linux) -> None:
    if linux.intel_rdt:
        raise InvalidSpec("linux.intelRdt is not supported")
    if linux.rootfs_propagation not in _PROPAGATIONS:
        raise InvalidSpec(f'rootfsPropagation="{linux.rootfs_propagation}" is not supported')
    if linux.personality is not None:
        domain = linux.personality.get("domain")
        if domain not in ("LINUX", "LINUX32"):
            raise InvalidSpec(f'invalid personality domain "{domain}"')
        if linux.personality.get("flags"):
            raise InvalidSpec("personality flags are not supported")
    for device in linux.devices:
        if device.type not in _DEVICE_TYPES:
            raise InvalidSpec(f'unknown device type "{device.type}" of {device.path}')
    if linux.seccomp is not None and linux.seccomp.listener_path:
        raise InvalidSpec("linux.seccomp.listenerPath is not supported")


def _validate_mounts(spec: Spec) -> None:
    for mount in spec.mounts:
        if not mount.destination:
            raise InvalidSpec("a mount without a destination")
        options = parse_options(mount.options)
        if options.copies_up and mount.type != "tmpfs":
            raise InvalidSpec(f'tmpcopyup is only for tmpfs, not for "{mount.type}" on {mount.destination}')
