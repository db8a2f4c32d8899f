"""`spec` and `features`: a configuration to begin with, and what this runtime can do."""

import json
import os

from wherry import __version__
from wherry.libcontainer import capabilities, namespaces, options
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.settings import Settings
from wherry.libcontainer.seccomp.actions import COMPARISONS
from wherry.oci.runtime import OCI_VERSION

SPEC_FLAGS = (
    Flag(("bundle", "b"), "path to the root of the bundle directory", takes_value=True),
    Flag(("rootless",), "refused: root is required"),
)

_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_ACTIONS = ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP")
_ARCHITECTURES = ("AARCH64", "ARM", "X32", "X86", "X86_64")
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_MOUNTS = (
    ("/proc", "proc", "proc", ()),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),  # noqa: S108 - inside
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", "relatime", "ro")),
)


def spec(settings: Settings, arguments: Arguments) -> int:
    """Write a config.json to begin with, as runc's is."""
    del settings
    if arguments.has("rootless"):
        raise CommandError("--rootless is not supported: root is required")
    path = os.path.join(arguments.value("bundle", "."), "config.json")
    try:
        with open(path, "x", encoding="ascii") as file:
            json.dump(_configuration(), file, indent="\t")
    except FileExistsError:
        raise CommandError("File config.json exists. Remove it first") from None
    except OSError as error:
        raise CommandError(f"open {path}: {error.strerror}") from None
    return 0


def features(settings: Settings, arguments: Arguments) -> int:
    """Print what this runtime can do (runtime-spec features.md)."""
    del settings, arguments
    described = {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": list(_HOOKS),
        "mountOptions": options.known_words(),
        "linux": {
            "namespaces": sorted(namespaces.FLAGS),
            "capabilities": list(capabilities.supported()),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False},
            "seccomp": {
                "enabled": True,
                "actions": [f"SCMP_ACT_{name}" for name in _ACTIONS],
                "operators": list(COMPARISONS),
                "archs": [f"SCMP_ARCH_{name}" for name in _ARCHITECTURES],
            },
            "apparmor": {"enabled": os.path.exists("/sys/module/apparmor")},
            "selinux": {"enabled": os.path.exists("/sys/fs/selinux/enforce")},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"wherry.version": __version__},
    }
    print(json.dumps(described, indent=4))
    return 0


def _configuration() -> dict[str, object]:
    sets = dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES)
    return {
        "ociVersion": OCI_VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": sets,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "wherry",
        "mounts": [
            {"destination": where, "type": kind, "source": source, **({"options": list(words)} if words else {})}
            for where, kind, source, words in _MOUNTS
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READONLY),
        },
    }
