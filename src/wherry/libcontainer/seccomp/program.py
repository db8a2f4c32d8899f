"""A profile's verdicts as one program: architecture, then a binary search for the call, then its arguments."""

import os
from itertools import pairwise

from wherry.libcontainer.seccomp import assembler
from wherry.libcontainer.seccomp.actions import KILL_PROCESS, X86_64, Abi, abis, action, unknown_call_action
from wherry.libcontainer.seccomp.assembler import EQUAL, GREATER, GREATER_EQUAL, Part
from wherry.libcontainer.seccomp.errors import FilterError
from wherry.libcontainer.seccomp.rules import Condition, Verdict, newest_named, verdicts
from wherry.oci.runtime import Seccomp

# struct seccomp_data (include/uapi/linux/seccomp.h), little-endian.
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_ARGUMENT_BYTES = 8
_LOW = 0xFFFFFFFF

# A tracer that skips a call sets its number to this (ptrace(2), PTRACE_SYSCALL): not an x32 call.
_SKIPPED = 0xFFFFFFFF
_X32_BIT = 0x40000000

Spans = list[tuple[int, Part]]


def compile_program(profile: Seccomp, machine: str = "") -> bytes:
    """The program that seccomp(2) takes, for this machine or another's name (x86_64, aarch64).

    Calls by an architecture that the profile does not name kill the process. Raises FilterError for unknown
    actions, operators and architectures, for what needs a listener, and for a program longer than the kernel takes.
    """
    if profile.listener_path:
        raise FilterError("seccomp listenerPath is not supported: SCMP_ACT_NOTIFY is not")
    kinds = abis(profile.architectures, machine or os.uname().machine)
    part = assembler.give(KILL_PROCESS)
    for audit in dict.fromkeys(abi.audit for abi in reversed(kinds)):
        calls = _calls(profile, [abi for abi in kinds if abi.audit == audit])
        part = assembler.if_equal(audit, calls, part)
    program = assembler.load(_OFFSET_ARCHITECTURE) + part
    if len(program) > assembler.INSTRUCTIONS_MAX:
        raise FilterError(f"the seccomp filter has {len(program)} instructions, the kernel takes at most 4096")
    return assembler.pack(program)


def _calls(profile: Seccomp, kinds: list[Abi]) -> Part:
    """The search among all calls that share an audit number: x32's are x86-64's with a bit set."""
    spans: Spans = []
    for abi in kinds:
        spans += _spans(profile, abi)
    if kinds == [X86_64]:
        # The last span is what calls beyond the profile get; a skipped call is one.
        spans += [(_X32_BIT, assembler.give(KILL_PROCESS)), (_SKIPPED, spans[-1][1])]
    return assembler.load(_OFFSET_NUMBER) + _search(spans)


def _spans(profile: Seccomp, abi: Abi) -> Spans:
    """What happens from each number on; neighbours with the same verdict are one span."""
    default = assembler.give(action(profile.default_action, profile.default_errno_ret))
    newest, beyond = newest_named(profile, abi), default
    unknown = unknown_call_action(profile)
    if newest >= 0 and unknown is not None:
        beyond = assembler.give(unknown)
    points: dict[int, Part] = {0: default, newest + 1: beyond}
    found = verdicts(profile, abi)
    for number in sorted(found):
        points[number] = _verdict(found[number], default, abi)
        points.setdefault(number + 1, default if number < newest else beyond)
    ordered = [(number, points[number]) for number in sorted(points)]
    different = [ordered[0], *(after for before, after in pairwise(ordered) if before[1] != after[1])]
    return [(number + abi.bit, part) for number, part in different]


def _search(spans: Spans) -> Part:
    """A balanced tree of comparisons: seven of them find one of a hundred spans."""
    if len(spans) == 1:
        return spans[0][1]
    half = len(spans) // 2
    return assembler.if_at_least(spans[half][0], _search(spans[half:]), _search(spans[:half]))


def _verdict(verdict: Verdict, default: Part, abi: Abi) -> Part:
    if verdict.always is not None:
        return assembler.give(verdict.always)
    part = default
    for conditions, result in reversed(verdict.choices):
        part = _choice(conditions, assembler.give(result), abi) + part
    return part


def _choice(conditions: tuple[Condition, ...], result: Part, abi: Abi) -> Part:
    """Return the result when all conditions hold, else fall through."""
    part = result
    for condition in reversed(conditions):
        part = _test(condition, len(part), abi) + part
    return part


def _test(condition: Condition, beyond: int, abi: Abi) -> Part:
    """Fall through when the condition holds, else skip `beyond` instructions after the test."""
    low_offset = _OFFSET_ARGUMENTS + _ARGUMENT_BYTES * condition.index
    if condition.op == "SCMP_CMP_MASKED_EQ":
        mask, value = condition.value, condition.value_two & condition.value
    else:
        mask, value = (1 << 64) - 1, condition.value
    low = [*assembler.load(low_offset), *_masked(mask & _LOW)]
    if not abi.wide:
        return low + _compare_low(condition.op, value & _LOW, beyond)
    high = [*assembler.load(low_offset + 4), *_masked(mask >> 32)]
    return high + _compare(condition.op, value, low, beyond)


def _masked(bits: int) -> Part:
    return [] if bits == _LOW else assembler.mask(bits)


def _compare(op: str, value: int, low: Part, beyond: int) -> Part:
    """Compare a 64-bit argument whose high half is loaded; `low` loads the other half."""
    high_value = value >> 32
    rest = low + _compare_low(op, value & _LOW, beyond)
    fails = len(rest) + beyond
    if op in ("SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"):
        return assembler.unless(EQUAL, high_value, skip=fails) + rest
    if op == "SCMP_CMP_NE":
        return assembler.unless(EQUAL, high_value, skip=len(rest)) + rest
    same = len(rest)
    if op in ("SCMP_CMP_GT", "SCMP_CMP_GE"):
        equal = assembler.unless(EQUAL, high_value, skip=fails)
        return assembler.when(GREATER, high_value, skip=len(equal) + same) + equal + rest
    equal = assembler.unless(EQUAL, high_value, skip=same)
    return assembler.when(GREATER, high_value, skip=len(equal) + fails) + equal + rest


def _compare_low(op: str, value: int, beyond: int) -> Part:
    match op:
        case "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ":
            return assembler.unless(EQUAL, value, skip=beyond)
        case "SCMP_CMP_NE":
            return assembler.when(EQUAL, value, skip=beyond)
        case "SCMP_CMP_GT":
            return assembler.unless(GREATER, value, skip=beyond)
        case "SCMP_CMP_GE":
            return assembler.unless(GREATER_EQUAL, value, skip=beyond)
        case "SCMP_CMP_LE":
            return assembler.when(GREATER, value, skip=beyond)
        case _:
            return assembler.when(GREATER_EQUAL, value, skip=beyond)
