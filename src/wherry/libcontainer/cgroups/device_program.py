"""The device list of a v2 cgroup: an eBPF program, assembled here and attached to the cgroup."""

import os
import struct

from wherry.libcontainer.cgroups.devices import DeviceList, Node
from wherry.libcontainer.cgroups.errors import CgroupError
from wherry.linux import bpf

# struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor; each 32 bits (include/uapi/linux/bpf.h).
_OFFSET_ACCESS_TYPE, _OFFSET_MAJOR, _OFFSET_MINOR = 0, 4, 8
_TYPE_MASK, _ACCESS_SHIFT = 0xFFFF, 16
_TYPES = {"b": 1, "c": 2}
_ACCESSES = {"m": 1, "r": 2, "w": 4}
_ALL_ACCESSES = 7

# Registers: the context comes in r1, the verdict (1 allows) leaves in r0.
_R0, _R1, _R2, _R3, _R4, _R5, _R6 = range(7)

# Instruction set: Documentation/bpf/standardization/instruction-set.rst.
_LOAD_WORD = 0x61
_MOVE32_VALUE, _MOVE32_REGISTER = 0xB4, 0xBC
_AND32_VALUE, _SHIFT_RIGHT32_VALUE = 0x54, 0x74
# 32-bit compares (class JMP32), so that no number is sign-extended.
_JUMP_IF_EQUAL, _JUMP_UNLESS_EQUAL = 0x16, 0x56
_EXIT = 0x95

_NAME = b"wherry_devices"


def assemble(devices: DeviceList) -> bytes:
    """The program for a list: each exception a few compares, in order; then the default."""
    code = [
        _instruction(_LOAD_WORD, _R2, _R1, offset=_OFFSET_ACCESS_TYPE),
        _instruction(_MOVE32_REGISTER, _R3, _R2),
        _instruction(_AND32_VALUE, _R2, value=_TYPE_MASK),
        _instruction(_SHIFT_RIGHT32_VALUE, _R3, value=_ACCESS_SHIFT),
        _instruction(_LOAD_WORD, _R4, _R1, offset=_OFFSET_MAJOR),
        _instruction(_LOAD_WORD, _R5, _R1, offset=_OFFSET_MINOR),
    ]
    for node, access in devices.exceptions:
        code += _exception(node, access, allow=not devices.allow)
    return b"".join([*code, *_verdict(allow=devices.allow)])


def apply_program(cgroup_fd: int, devices: DeviceList, path: str) -> None:
    """Attach a list to a cgroup, whose path is for the error. Raises CgroupError."""
    try:
        attach(cgroup_fd, devices)
    except OSError as error:
        raise CgroupError(error.errno or 0, f"device rules of cgroup {path}: {error.strerror}") from None


def attach(cgroup_fd: int, devices: DeviceList) -> None:
    """Make a cgroup obey a list; one that is there already is replaced with no moment without. Raises OSError."""
    attached = bpf.query(cgroup_fd, bpf.ATTACH_CGROUP_DEVICE)
    if devices.allow and not devices.exceptions and not attached.programs:
        return
    program = bpf.load(bpf.PROG_TYPE_CGROUP_DEVICE, assemble(devices), _NAME)
    olds: list[int] = []
    try:
        olds.extend(map(bpf.open_program, attached.programs))
        _put(cgroup_fd, program, olds)
    finally:
        for fd in (program, *olds):
            os.close(fd)


def _put(cgroup_fd: int, program: int, olds: list[int]) -> None:
    if len(olds) == 1:
        flags = bpf.F_ALLOW_MULTI | bpf.F_REPLACE
        bpf.attach(cgroup_fd, program, bpf.ATTACH_CGROUP_DEVICE, flags, olds[0])
        return
    # With several programs a device is allowed only when all allow it, so the old ones go after the new one came.
    bpf.attach(cgroup_fd, program, bpf.ATTACH_CGROUP_DEVICE, bpf.F_ALLOW_MULTI)
    for old in olds:
        bpf.detach(cgroup_fd, old, bpf.ATTACH_CGROUP_DEVICE)


def _exception(node: Node, access: str, *, allow: bool) -> list[bytes]:
    """Compares that fall through to a verdict when the access is this exception's, or jump behind it."""
    bits = sum(_ACCESSES[letter] for letter in access)
    tests = [(_R2, _TYPES[node.type])]
    if node.major is not None:
        tests.append((_R4, node.major))
    if node.minor is not None:
        tests.append((_R5, node.minor))
    verdict = _verdict(allow=allow)
    mask: list[bytes] = []
    if bits != _ALL_ACCESSES:
        # Allowed only when nothing outside the bits is asked for; denied when anything inside them is.
        mask = _access_test(~bits & _ALL_ACCESSES if allow else bits, passes_when_zero=allow, skip=len(verdict))
    rest = len(mask) + len(verdict)
    compares = [
        _instruction(_JUMP_UNLESS_EQUAL, register, value=value, offset=len(tests) - 1 - position + rest)
        for position, (register, value) in enumerate(tests)
    ]
    return [*compares, *mask, *verdict]


def _access_test(bits: int, *, passes_when_zero: bool, skip: int) -> list[bytes]:
    jump = _JUMP_UNLESS_EQUAL if passes_when_zero else _JUMP_IF_EQUAL
    return [
        _instruction(_MOVE32_REGISTER, _R6, _R3),
        _instruction(_AND32_VALUE, _R6, value=bits),
        _instruction(jump, _R6, value=0, offset=skip),
    ]


def _verdict(*, allow: bool) -> list[bytes]:
    return [_instruction(_MOVE32_VALUE, _R0, value=int(allow)), _instruction(_EXIT)]


def _instruction(code: int, to: int = 0, source: int = 0, *, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhI", code, source << 4 | to, offset, value)
