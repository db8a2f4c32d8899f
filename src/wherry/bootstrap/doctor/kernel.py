"""The kernel itself: version, namespaces, descriptors of processes, system call filters, capabilities."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from wherry.bootstrap.doctor.check import Check, missing, ok, warning, why_not
from wherry.linux import capability, process, seccomp
from wherry.linux.namespaces import KINDS, unshare

# mount_setattr(2), by which host paths enter containers.
KERNEL_MIN = (5, 12)
NEEDED_NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
NEEDED_CAPABILITIES = (
    "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_MKNOD", "CAP_CHOWN",
    "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SYS_CHROOT",
)  # fmt: skip
_SECCOMP_ERRNO = 0x00050000
_WITHOUT = {
    "CAP_SYS_RESOURCE": "limits cannot be raised above the daemon's own (--ulimit), nor oom_score_adj lowered",
    "CAP_SYS_PTRACE": "`wherry top` shows less of containers' processes",
    "CAP_SYS_TIME": "no container can be given the right to set the clock",
}
_LATER = "use Linux 5.12 or later"


def checks() -> Iterator[Check]:
    """All of them, the fundamental ones first."""
    yield _version()
    for kind in KINDS:
        yield _namespace(kind)
    yield _pidfd()
    yield _seccomp()
    yield from _capabilities()
    yield from _modules()


def _version() -> Check:
    release = platform.release()
    numbers = tuple(int(word) for word in release.split("-")[0].split(".")[:2] if word.isdigit())
    if numbers >= KERNEL_MIN:
        return ok("kernel", f"Linux {release}")
    return missing("kernel", f"Linux {release}", "containers' mounts are made by calls that it does not have", _LATER)


def _namespace(kind: str) -> Check:
    name = f"namespace {kind}"
    failure = why_not(lambda: unshare(KINDS[kind]))
    if not failure:
        return ok(name, "can be made")
    if kind in NEEDED_NAMESPACES:
        return missing(name, failure, "every container has one of its own", "run on a host that lets root make it")
    meaning = {"user": "containers cannot have users of their own", "time": "containers share the host's clocks"}[kind]
    return warning(name, failure, meaning, "nothing that is served now needs it")


def _pidfd() -> Check:
    child = os.fork()
    if child == 0:
        os._exit(7)
    try:
        pidfd = process.pidfd_open(child)
    except OSError as error:
        os.waitpid(child, 0)
        return missing("pidfd", str(error), "processes cannot be watched without mistaking one for another", _LATER)
    os.waitpid(child, 0)
    status = process.exit_of(pidfd)
    os.close(pidfd)
    said = "exit statuses too" if status is not None else "exit statuses come from parents alone, as before Linux 6.15"
    return ok("pidfd", f"processes can be watched; {said}")


def _seccomp() -> Check:
    failure = why_not(_try_filters)
    if not failure:
        return ok("seccomp", "system calls can be filtered")
    meaning = "containers run only with --security-opt seccomp=unconfined"
    return missing("seccomp", failure, meaning, "use a kernel with CONFIG_SECCOMP_FILTER")


def _try_filters() -> None:
    if not seccomp.is_action_available(_SECCOMP_ERRNO):
        raise OSError("filters cannot answer with an error number")


def _capabilities() -> Iterator[Check]:
    have = {capability.NAMES[number] for number in capability.numbers_in(capability.capget().effective) if number < 41}
    needed = [name for name in NEEDED_CAPABILITIES if name not in have]
    if needed:
        meaning, advice = "containers cannot be made", "run it as root, outside of containers that lack these"
        yield missing("capabilities", f"{', '.join(needed)} missing", meaning, advice)
    lacking = [name for name in capability.NAMES if name not in have and name not in needed]
    for name in lacking:
        meaning = _WITHOUT.get(name, f"containers cannot be given {name}, privileged ones neither")
        advice = "give it to the process that starts wherryd, where that is possible"
        yield warning("capabilities", f"{name} missing", meaning, advice)
    if not needed and not lacking:
        yield ok("capabilities", "all of them")


def _modules() -> Iterator[Check]:
    """What else decides about containers."""
    active = _read("/sys/kernel/security/lsm").split(",")
    if "apparmor" in active or _read("/sys/module/apparmor/parameters/enabled") == "Y":
        meaning = "containers get no profile of AppArmor's, as with --security-opt apparmor=unconfined"
        yield warning("AppArmor", "enabled", meaning, "seccomp and capabilities hold them all the same")
    else:
        yield ok("AppArmor", "not in use")
    if _read("/sys/fs/selinux/enforce") == "1":
        meaning = "containers run in the daemon's context: its policy may keep them from their files"
        yield warning("SELinux", "enforcing", meaning, "watch the audit log, or give the data root a fitting label")
    else:
        yield ok("SELinux", "not enforcing")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
