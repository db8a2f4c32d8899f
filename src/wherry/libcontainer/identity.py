"""Who the user's program is: limits, groups, ids, capabilities, labels, and what it may never gain."""

import errno
import os
import stat

from wherry.libcontainer import capabilities as sets
from wherry.libcontainer import procfs
from wherry.libcontainer.errors import BirthError, at
from wherry.linux import credentials, files, keyring, limits, prctl
from wherry.oci.runtime import Capabilities, Process, Rlimit

_NO_CAPABILITIES = Capabilities()
_NULL = os.makedev(1, 3)
_HARMLESS = frozenset({errno.EINVAL, errno.EPERM, errno.EROFS, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF})

# The user, or where ids are mapped others, may search a session keyring and nothing more (runc's masks).
_KEY_USER_SEARCH = 0x80000
_KEY_OTHER_SEARCH = 0x8

_PASSWD_BYTES_MAX = 1 << 20


def set_limits(rlimits: tuple[Rlimit, ...], pid: int = 0) -> None:
    """Set resource limits, of another process too. Raises BirthError in runc's words."""
    for one in rlimits:
        number = limits.NUMBERS.get(one.type)
        if number is None:
            raise BirthError("rlimit", errno.EINVAL, one.type, f"invalid rlimit type: {one.type}")
        try:
            limits.set_limit(pid, number, soft=one.soft, hard=one.hard)
        except OSError as error:
            raise at(f"error setting rlimit type {number}", _bare(error)) from None


def join_keyring(name: str, *, ids_are_mapped: bool) -> None:
    """A session keyring of the container's own, so that nobody's keys come along. Raises BirthError."""
    try:
        key = keyring.join_session(name)
        search = _KEY_OTHER_SEARCH if ids_are_mapped else _KEY_USER_SEARCH
        if key:
            keyring.set_permissions(key, keyring.permissions(key) | search)
    except OSError as error:
        # A kernel without keyrings, or a sandbox around us that forbids them: there are no keys to keep away then.
        if error.errno not in (errno.ENOSYS, errno.EPERM, errno.EACCES):
            raise at("unable to join session keyring", error) from None


def set_oom_score(proc_fd: int, pid: str, score: int | None) -> str:
    """Set how soon the kernel kills a process for want of memory; what to warn of comes back. Raises BirthError."""
    if score is None:
        return ""
    try:
        procfs.write(proc_fd, f"{pid}/oom_score_adj", str(score))
    except PermissionError:
        # Lower than one's own needs CAP_SYS_RESOURCE; a container without is better than none.
        return f"cannot set oom_score_adj to {score}: operation not permitted"
    except OSError as error:
        raise at("unable to set oom_score_adj", error) from None
    return ""


def set_labels(proc_fd: int, process: Process) -> None:
    """Tell AppArmor and SELinux what to put on the program. Raises BirthError."""
    for name, label in (("apparmor", process.apparmor_profile), ("selinux", process.selinux_label)):
        if not label or label == "unconfined":
            continue
        text = f"exec {label}" if name == "apparmor" else label
        path = "attr/apparmor/exec" if name == "apparmor" and os.path.exists("/sys/module/apparmor") else "attr/exec"
        try:
            procfs.write_own(proc_fd, path, text)
        except OSError as error:
            raise at(f"unable to apply {name} {'profile' if name == 'apparmor' else 'label'} {label}", error) from None


def own_stdio(uid: int) -> None:
    """Give stdin, stdout and stderr to the user, as runc does; the null device stays root's."""
    for fd in range(3):
        try:
            found = os.fstat(fd)
            if found.st_uid != uid and not (stat.S_ISCHR(found.st_mode) and found.st_rdev == _NULL):
                os.fchown(fd, uid, -1)
        except OSError as error:
            if error.errno not in _HARMLESS:
                raise at("error fixing stdio permissions", error) from None


def become(process: Process, *, ids_are_mapped: bool) -> None:
    """Take on groups, ids and capabilities; the last step that needs any. Raises BirthError."""
    wanted = process.capabilities or _NO_CAPABILITIES
    user = process.user
    try:
        sets.drop_bounding(wanted)
        prctl.set_keep_capabilities(on=True)
        _set_groups(user.additional_gids, may_be_denied=ids_are_mapped)
        credentials.set_gid(user.gid)
        credentials.set_uid(user.uid)
    except (OSError, ValueError) as error:
        raise at("unable to set up the user", error) from None
    try:
        sets.apply(wanted)
    except (OSError, ValueError) as error:
        raise at("unable to apply caps", _bare(error) if isinstance(error, OSError) else error) from None
    os.umask(0o022 if user.umask is None else user.umask)


def home_directory(root_fd: int, uid: int) -> str:
    """The home of a uid by the root's own /etc/passwd, read with a limit and only from a plain file; else `/`."""
    try:
        fd = files.open_inside(root_fd, "/etc/passwd", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return "/"
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return "/"
        data = os.read(fd, _PASSWD_BYTES_MAX)
    except OSError:
        return "/"
    finally:
        os.close(fd)
    for line in data.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 6 and fields[2] == b"%d" % uid:
            return os.fsdecode(fields[5]) or "/"
    return "/"


def _set_groups(gids: tuple[int, ...], *, may_be_denied: bool) -> None:
    try:
        credentials.set_groups(gids)
    except PermissionError:
        # A map written by an unprivileged user forbids setgroups(2) for good; wanting none is granted all the same.
        if gids or not may_be_denied:
            raise


def _bare(error: OSError) -> OSError:
    return OSError(error.errno, os.strerror(error.errno or 0).lower())
