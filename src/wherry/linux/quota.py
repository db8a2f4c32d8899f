"""quotactl_fd(2) and FS_IOC_FSSETXATTR: projects of files, and limits on what a project takes, as XFS has them."""

import ctypes
import fcntl
from dataclasses import dataclass

from wherry.linux.libc import checked, declare_syscall

# linux/fs.h
_FS_IOC_FSGETXATTR = 0x801C581F
_FS_IOC_FSSETXATTR = 0x401C5820
_FS_XFLAG_PROJINHERIT = 0x200

# linux/quota.h and linux/dqblk_xfs.h
_PROJECTS = 2  # PRJQUOTA
_Q_XGETQUOTA = 0x5803
_Q_XSETQLIM = 0x5804
_Q_XGETQSTAT = 0x5805
_FS_DQUOT_VERSION = 1
_XFS_PROJ_QUOTA = 2
_FS_DQ_BSOFT = 1 << 2
_FS_DQ_BHARD = 1 << 3
_FS_QUOTA_PDQ_ACCT = 1 << 4
_FS_QUOTA_PDQ_ENFD = 1 << 5

_BLOCK_BYTES = 512


class _FsXattr(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint32),
        ("extent_size", ctypes.c_uint32),
        ("extents", ctypes.c_uint32),
        ("project", ctypes.c_uint32),
        ("cow_extent_size", ctypes.c_uint32),
        ("padding", ctypes.c_byte * 8),
    )


class _QuotaFile(ctypes.Structure):
    _fields_ = (("inode", ctypes.c_uint64), ("blocks", ctypes.c_uint64), ("extents", ctypes.c_uint32))


class _QuotaState(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int8),
        ("flags", ctypes.c_uint16),
        ("padding", ctypes.c_int8),
        ("users", _QuotaFile),
        ("groups", _QuotaFile),
        ("in_core", ctypes.c_uint32),
        ("time_limits", ctypes.c_int32 * 3),
        ("warning_limits", ctypes.c_uint16 * 2),
    )


class _DiskQuota(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int8),
        ("kind", ctypes.c_int8),
        ("fields", ctypes.c_uint16),
        ("id", ctypes.c_uint32),
        ("blocks_hard", ctypes.c_uint64),
        ("blocks_soft", ctypes.c_uint64),
        ("inodes_hard", ctypes.c_uint64),
        ("inodes_soft", ctypes.c_uint64),
        ("blocks", ctypes.c_uint64),
        ("inodes", ctypes.c_uint64),
        ("timers_and_realtime", ctypes.c_byte * 56),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUse:
    """What a project takes and may take; a limit of 0 is none."""

    bytes: int
    inodes: int
    bytes_max: int
    inodes_max: int


# fd, command, id, address
_quotactl_fd = declare_syscall(443, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)


def enforces_projects(fd: int) -> bool:
    """Whether projects are counted and limited on the file system behind a descriptor.

    Raises OSError, for one without quotas too: ENOSYS, ESRCH or others (quotactl(2)).
    """
    state = _QuotaState()
    _call(fd, _Q_XGETQSTAT, 0, state, "Q_XGETQSTAT")
    wanted = _FS_QUOTA_PDQ_ACCT | _FS_QUOTA_PDQ_ENFD
    return bool(state.flags & wanted == wanted)


def project_use(fd: int, project: int) -> ProjectUse:
    """A project on the file system behind a descriptor. Raises OSError, ENOENT for one that was never used."""
    record = _DiskQuota()
    _call(fd, _Q_XGETQUOTA, project, record, "Q_XGETQUOTA")
    return ProjectUse(
        bytes=record.blocks * _BLOCK_BYTES,
        inodes=record.inodes,
        bytes_max=max(record.blocks_hard, record.blocks_soft) * _BLOCK_BYTES,
        inodes_max=max(record.inodes_hard, record.inodes_soft),
    )


def limit_project(fd: int, project: int, bytes_max: int) -> None:
    """Limit what a project may take, in whole blocks of 512 bytes; 0 is no limit. Raises OSError."""
    blocks = bytes_max // _BLOCK_BYTES
    record = _DiskQuota(_FS_DQUOT_VERSION, _XFS_PROJ_QUOTA, _FS_DQ_BHARD | _FS_DQ_BSOFT, project, blocks, blocks)
    _call(fd, _Q_XSETQLIM, project, record, "Q_XSETQLIM")


def project_of(fd: int) -> int:
    """The project that a file or directory belongs to, 0 for none. Raises OSError."""
    return int(_attributes(fd).project)


def put_into_project(fd: int, project: int, *, inherits: bool = False) -> None:
    """Have a file belong to a project; with `inherits` a directory, and all that will be made in it. Raises OSError."""
    attributes = _attributes(fd)
    attributes.project = project
    if inherits:
        attributes.flags |= _FS_XFLAG_PROJINHERIT
    fcntl.ioctl(fd, _FS_IOC_FSSETXATTR, attributes)


def take_all_projects(fd: int) -> None:
    """Let a directory take in files of any project; else link(2) and rename(2) into it are EXDEV. Raises OSError."""
    attributes = _attributes(fd)
    if attributes.flags & _FS_XFLAG_PROJINHERIT:
        attributes.flags &= ~_FS_XFLAG_PROJINHERIT
        fcntl.ioctl(fd, _FS_IOC_FSSETXATTR, attributes)


def _attributes(fd: int) -> _FsXattr:
    attributes = _FsXattr()
    fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, attributes)
    return attributes


def _call(fd: int, command: int, project: int, record: ctypes.Structure, name: str) -> None:
    result = _quotactl_fd(fd, command << 8 | _PROJECTS, project, ctypes.byref(record))
    checked(result, "quotactl_fd", f"{name} of project {project}")
