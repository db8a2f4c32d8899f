"""Actions, comparisons, architectures and flags of a filter: from the runtime-spec's names to the kernel's numbers."""

from typing import NamedTuple

from wherry.libcontainer.seccomp.errors import FilterError
from wherry.linux import seccomp
from wherry.oci.runtime import Seccomp

KILL_PROCESS = 0x80000000
_ERRNO, _TRACE = 0x00050000, 0x7FF00000
_EPERM = 1
ENOSYS = 38
_DATA_MAX = 0xFFFF

_ACTIONS = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_TRACE": _TRACE,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")

COMPARISONS = (
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
)

_FLAGS = {
    # Synchronises threads: the process has one when the filter is put on.
    "SECCOMP_FILTER_FLAG_TSYNC": 0,
    "SECCOMP_FILTER_FLAG_LOG": seccomp.FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": seccomp.FLAG_SPEC_ALLOW,
}


class Abi(NamedTuple):
    """One way to enter the kernel: its audit number, the bit its calls carry, where its arguments are wide."""

    name: str
    audit: int
    bit: int = 0
    wide: bool = True


X86_64 = Abi("x86_64", 0xC000003E)
X32 = Abi("x32", 0xC000003E, bit=0x40000000, wide=False)
X86 = Abi("x86", 0x40000003, wide=False)
AARCH64 = Abi("aarch64", 0xC00000B7)
ARM = Abi("arm", 0x40000028, wide=False)

_ABIS = {
    "SCMP_ARCH_X86_64": X86_64,
    "SCMP_ARCH_X32": X32,
    "SCMP_ARCH_X86": X86,
    "SCMP_ARCH_AARCH64": AARCH64,
    "SCMP_ARCH_ARM": ARM,
}
# Named by profiles for many machines; none of their calls can ever be made on one that we run on.
_FOREIGN = frozenset(
    f"SCMP_ARCH_{name}"
    for name in (
        "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X",
        "PARISC", "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB",
    )
)  # fmt: skip
_NATIVE = {"x86_64": (X86_64, X32, X86), "aarch64": (AARCH64, ARM)}


def action(name: str, errno: int | None) -> int:
    """What a filter returns for an action; ERRNO and TRACE carry a number, 1 (EPERM) when none is said."""
    if name == "SCMP_ACT_NOTIFY":
        raise FilterError("seccomp action SCMP_ACT_NOTIFY is not supported: nobody is there to be notified")
    number = _ACTIONS.get(name)
    if number is None:
        raise FilterError(f"string {name} is not a valid action for seccomp")
    if number in (_ERRNO, _TRACE):
        data = _EPERM if errno is None else errno
        if not 0 <= data <= _DATA_MAX:
            raise FilterError(f"invalid errno {data} of seccomp action {name}")
        return number | data
    return number


def unknown_call_action(profile: Seccomp) -> int | None:
    """What calls get that are newer than the whole profile: ENOSYS, so that programs fall back to what they know.

    None where the default action lets calls through (runc, `patchbpf`).
    """
    return None if profile.default_action in _PERMISSIVE else action("SCMP_ACT_ERRNO", ENOSYS)


def abis(names: tuple[str, ...], machine: str) -> tuple[Abi, ...]:
    """The ways into this machine's kernel that a filter allows at all, the native one first and always."""
    ours = _NATIVE.get(machine)
    if ours is None:
        raise FilterError(f"system call filters are not supported on {machine}")
    for name in names:
        if name not in _ABIS and name not in _FOREIGN:
            raise FilterError(f"string {name} is not a valid arch for seccomp")
    named = {_ABIS[name] for name in names if name in _ABIS}
    return tuple(abi for abi in ours if abi is ours[0] or abi in named)


def filter_flags(profile: Seccomp) -> int:
    """The flags for seccomp(2). Without a word about flags speculation stays as it is, as runc has it."""
    if profile.flags is None:
        return seccomp.FLAG_SPEC_ALLOW
    bits = 0
    for name in profile.flags:
        if name not in _FLAGS:
            raise FilterError(f"seccomp flag {name} is not known")
        bits |= _FLAGS[name]
    return bits
