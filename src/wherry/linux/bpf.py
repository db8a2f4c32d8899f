"""bpf(2), as far as device control groups need it: load a program, attach it to a cgroup, replace it."""

import ctypes
from typing import NamedTuple

from wherry.linux.libc import checked, declare_syscall, failure, machine_number

PROG_TYPE_CGROUP_DEVICE = 15
ATTACH_CGROUP_DEVICE = 6
F_ALLOW_MULTI = 2
F_REPLACE = 4

_PROG_LOAD = 5
_PROG_ATTACH = 8
_PROG_DETACH = 9
_PROG_GET_FD_BY_ID = 13
_PROG_QUERY = 16

_PROGRAMS_MAX = 64
_LOG_BYTES = 65536
# The helpers we call need no GPL; this only has to be a string.
_LICENSE = b"Apache-2.0"


class _Load(ctypes.Structure):
    """The part of union bpf_attr for BPF_PROG_LOAD."""

    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
    )


class _Attach(ctypes.Structure):
    """The part for BPF_PROG_ATTACH and BPF_PROG_DETACH."""

    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("attach_bpf_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("replace_bpf_fd", ctypes.c_uint32),
    )


class _Query(ctypes.Structure):
    """The part for BPF_PROG_QUERY."""

    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("prog_cnt", ctypes.c_uint32),
    )


class _Id(ctypes.Structure):
    """The part for BPF_PROG_GET_FD_BY_ID."""

    _fields_ = (("prog_id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32))


_bpf = declare_syscall(machine_number(x86_64=321, aarch64=280), ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)


class Attached(NamedTuple):
    """What hangs on a cgroup: program ids, and the flags they were attached with."""

    programs: tuple[int, ...]
    flags: int


def load(program_type: int, instructions: bytes, name: bytes = b"") -> int:
    """Load a program of 8-byte instructions; a close-on-exec descriptor.

    Raises OSError with the last line of what the verifier says.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_ = ctypes.create_string_buffer(_LICENSE)
    attributes = _Load(
        prog_type=program_type,
        insn_cnt=len(instructions) // 8,
        insns=ctypes.addressof(code),
        license=ctypes.addressof(license_),
        prog_name=name[:15],
    )
    result = _call(_PROG_LOAD, attributes)
    if result >= 0:
        return result
    # Only a refused program is loaded again to hear why: the log makes loading slow.
    log = ctypes.create_string_buffer(_LOG_BYTES)
    attributes.log_level, attributes.log_size, attributes.log_buf = 1, _LOG_BYTES, ctypes.addressof(log)
    result = _call(_PROG_LOAD, attributes)
    if result >= 0:
        return result
    reason = log.value.decode(errors="replace").strip().rpartition("\n")[2]
    raise failure(ctypes.get_errno(), "bpf", "BPF_PROG_LOAD", reason)


def attach(cgroup_fd: int, program_fd: int, attach_type: int, flags: int = 0, replaces_fd: int = 0) -> None:
    """Attach a program to a cgroup; with F_REPLACE it takes the place of another at once. Raises OSError."""
    attributes = _Attach(cgroup_fd, program_fd, attach_type, flags, replaces_fd)
    checked(_call(_PROG_ATTACH, attributes), "bpf", "BPF_PROG_ATTACH")


def detach(cgroup_fd: int, program_fd: int, attach_type: int) -> None:
    """Take a program off a cgroup. Raises OSError."""
    checked(_call(_PROG_DETACH, _Attach(cgroup_fd, program_fd, attach_type)), "bpf", "BPF_PROG_DETACH")


def query(cgroup_fd: int, attach_type: int) -> Attached:
    """What is attached to this very cgroup. Raises OSError."""
    ids = (ctypes.c_uint32 * _PROGRAMS_MAX)()
    attributes = _Query(cgroup_fd, attach_type, 0, 0, ctypes.addressof(ids), _PROGRAMS_MAX)
    checked(_call(_PROG_QUERY, attributes), "bpf", "BPF_PROG_QUERY")
    return Attached(tuple(ids[: attributes.prog_cnt]), attributes.attach_flags)


def open_program(program_id: int) -> int:
    """A descriptor of a loaded program by its id. Raises OSError: ENOENT when it is gone."""
    return checked(_call(_PROG_GET_FD_BY_ID, _Id(program_id)), "bpf", "BPF_PROG_GET_FD_BY_ID")


def _call(command: int, attributes: ctypes.Structure) -> int:
    return _bpf(command, ctypes.byref(attributes), ctypes.sizeof(attributes))
