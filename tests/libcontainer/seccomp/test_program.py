"""Profiles as programs: what each call gets, by running the program on every one."""

import operator
import os
from itertools import product

import pytest

from wherry.libcontainer.seccomp import FilterError, compile_program, filter_flags
from wherry.libcontainer.seccomp.rules import table
from wherry.oci.runtime import Seccomp, SeccompArg, SeccompRule

ALLOW, TRAP, KILL_THREAD, KILL_PROCESS = 0x7FFF0000, 0x00030000, 0, 0x80000000
EPERM, ENOSYS = 0x00050001, 0x00050026

ALL_X86 = ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")


def profile(*rules, default="SCMP_ACT_ALLOW", architectures=ALL_X86, **more):
    return Seccomp(default_action=default, architectures=architectures, syscalls=rules, **more)


def rule(names, action="SCMP_ACT_ERRNO", *args, errno=None):
    return SeccompRule(names=tuple(names.split()), action=action, args=args, errno_ret=errno)


def compare(index, op, value, second=0):
    return SeccompArg(index=index, op=f"SCMP_CMP_{op}", value=value, value_two=second)


def build(*rules, **more):
    return compile_program(profile(*rules, **more), "x86_64")


@pytest.mark.parametrize(
    ("action", "errno", "verdict"),
    [
        ("SCMP_ACT_KILL", None, KILL_THREAD),
        ("SCMP_ACT_KILL_THREAD", None, KILL_THREAD),
        ("SCMP_ACT_KILL_PROCESS", None, KILL_PROCESS),
        ("SCMP_ACT_TRAP", None, TRAP),
        ("SCMP_ACT_ERRNO", None, EPERM),
        ("SCMP_ACT_ERRNO", 97, 0x00050061),
        ("SCMP_ACT_TRACE", 9, 0x7FF00009),
        ("SCMP_ACT_LOG", None, 0x7FFC0000),
    ],
)
def test_each_action_is_the_kernels(evaluate, action, errno, verdict):
    program = build(rule("chmod", action, errno=errno))
    assert [evaluate(program, abi, table(abi)["chmod"]) for abi in ("x86_64", "x86", "x32")] == [verdict] * 3
    assert evaluate(program, "x86_64", table("x86_64")["chown"]) == ALLOW


WIDE = (0, 1, 4, 5, 6, 0xFFFFFFFF, 1 << 32, (1 << 32) + 4, (1 << 32) + 5, (1 << 32) + 6, 2 << 32, 5 << 32, 2**64 - 1)


@pytest.mark.parametrize(
    ("op", "holds"),
    [
        ("EQ", operator.eq),
        ("NE", operator.ne),
        ("LT", operator.lt),
        ("LE", operator.le),
        ("GE", operator.ge),
        ("GT", operator.gt),
    ],
)
def test_arguments_are_compared_as_64_unsigned_bits(evaluate, op, holds):
    for wanted in WIDE:
        program = build(rule("chmod", "SCMP_ACT_TRAP", compare(3, op, wanted)))
        for given in WIDE:
            verdict = evaluate(program, "x86_64", table("x86_64")["chmod"], 0, 0, 0, given)
            assert (verdict == TRAP) == holds(given, wanted), (op, hex(given), hex(wanted))


def test_a_masked_comparison_looks_at_the_masks_bits_only(evaluate):
    for mask, wanted, given in product(WIDE, repeat=3):
        program = build(rule("chmod", "SCMP_ACT_TRAP", compare(0, "MASKED_EQ", mask, wanted)))
        verdict = evaluate(program, "x86_64", table("x86_64")["chmod"], given)
        assert (verdict == TRAP) == (given & mask == wanted & mask)


def test_32_bit_architectures_compare_the_half_that_they_have(evaluate):
    program = build(rule("chmod", "SCMP_ACT_TRAP", compare(0, "EQ", 5)))
    assert evaluate(program, "x86", table("x86")["chmod"], (7 << 32) + 5) == TRAP
    assert evaluate(program, "x32", table("x32")["chmod"], (7 << 32) + 5) == TRAP


def test_all_conditions_of_a_rule_must_hold(evaluate):
    program = build(rule("chmod", "SCMP_ACT_TRAP", compare(0, "EQ", 1), compare(1, "EQ", 2)))
    number = table("x86_64")["chmod"]
    assert evaluate(program, "x86_64", number, 1, 2) == TRAP
    assert evaluate(program, "x86_64", number, 1, 3) == ALLOW
    assert evaluate(program, "x86_64", number, 0, 2) == ALLOW


def test_two_conditions_on_one_argument_each_stand_alone(evaluate):
    program = build(rule("chmod", "SCMP_ACT_TRAP", compare(0, "EQ", 1), compare(0, "EQ", 2)))
    number = table("x86_64")["chmod"]
    assert [evaluate(program, "x86_64", number, value) for value in (1, 2, 3)] == [TRAP, TRAP, ALLOW]


def test_a_rule_without_conditions_wins_in_any_order(evaluate):
    conditional = rule("chmod", "SCMP_ACT_ERRNO", compare(0, "EQ", 1))
    for rules in ((conditional, rule("chmod", "SCMP_ACT_TRAP")), (rule("chmod", "SCMP_ACT_TRAP"), conditional)):
        assert evaluate(build(*rules), "x86_64", table("x86_64")["chmod"], 1) == TRAP


def test_other_architectures_are_killed(evaluate):
    program = build(rule("chmod"))
    assert evaluate(program, "aarch64", 0) == KILL_PROCESS
    native = build(rule("chmod"), architectures=())
    assert evaluate(native, "x86", 1) == KILL_PROCESS
    assert evaluate(native, "x86_64", 1) == ALLOW


def test_x32_calls_are_killed_where_the_profile_does_not_name_them(evaluate):
    program = build(rule("chmod"), architectures=("SCMP_ARCH_X86_64",))
    assert evaluate(program, "x32", 0) == KILL_PROCESS
    assert evaluate(program, "x32", table("x32")["chmod"]) == KILL_PROCESS
    # A tracer says -1 to skip a call: that is none of x32's.
    assert evaluate(program, "x86_64", 0xFFFFFFFF) == ALLOW


def test_calls_newer_than_the_profile_do_not_exist_for_it(evaluate):
    program = build(rule("read openat2", "SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO")
    newest = table("x86_64")["openat2"]
    assert evaluate(program, "x86_64", newest) == ALLOW
    assert evaluate(program, "x86_64", newest - 1) == EPERM
    assert evaluate(program, "x86_64", newest + 1) == ENOSYS
    assert evaluate(program, "x86_64", 100_000) == ENOSYS


@pytest.mark.parametrize("default", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
def test_a_profile_that_lets_calls_through_lets_new_ones_through(evaluate, default):
    program = build(rule("read", "SCMP_ACT_TRAP"), default=default)
    assert evaluate(program, "x86_64", 100_000) == evaluate(program, "x86_64", 1)


def test_calls_that_x86_multiplexes_are_found_behind_their_number(evaluate):
    program = build(rule("socket shmat", errno=97))
    socketcall, ipc = table("x86")["socketcall"], table("x86")["ipc"]
    assert evaluate(program, "x86", socketcall, 1) == 0x00050061
    assert evaluate(program, "x86", socketcall, 2) == ALLOW
    assert evaluate(program, "x86", ipc, 21) == 0x00050061
    assert evaluate(program, "x86", table("x86")["socket"]) == 0x00050061


def test_arm_has_its_private_calls(evaluate):
    named = profile(
        rule("read cacheflush", "SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO", architectures=("SCMP_ARCH_ARM",)
    )
    program = compile_program(named, "aarch64")
    assert evaluate(program, "arm", 0x0F0002) == ALLOW
    assert evaluate(program, "arm", 0x0F0003) == ENOSYS
    assert evaluate(program, "arm", table("arm")["read"]) == ALLOW
    assert evaluate(program, "aarch64", table("aarch64")["read"]) == ALLOW
    assert evaluate(program, "x86_64", 0) == KILL_PROCESS


def test_a_wide_profile_with_far_jumps_is_right_for_every_call(evaluate):
    names = sorted(table("x86_64"), key=table("x86_64").get)
    conditions = tuple(compare(index, "NE", 1 << 40) for index in range(6))
    rules = tuple(rule(name, "SCMP_ACT_TRAP", *conditions) for name in names[::4])
    program = build(*rules, architectures=("SCMP_ARCH_X86_64",))
    assert len(program) // 8 > 1000
    for place, name in enumerate(names):
        assert evaluate(program, "x86_64", table("x86_64")[name]) == (ALLOW if place % 4 else TRAP)


def test_names_that_no_kernel_knows_are_skipped(evaluate):
    assert evaluate(build(rule("no_such_call chmod")), "x86_64", table("x86_64")["chmod"]) == EPERM


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (profile(default="SCMP_ACT_FOO"), "string SCMP_ACT_FOO is not a valid action for seccomp"),
        (profile(rule("chmod", "ALLOW")), "string ALLOW is not a valid action for seccomp"),
        (profile(rule("chmod", "SCMP_ACT_NOTIFY")), "SCMP_ACT_NOTIFY is not supported"),
        (profile(listener_path="/run/x"), "listenerPath is not supported"),
        (profile(architectures=("SCMP_ARCH_FOO",)), "string SCMP_ARCH_FOO is not a valid arch for seccomp"),
        (profile(rule("chmod", "SCMP_ACT_TRAP", compare(0, "XX", 1))), "string SCMP_CMP_XX is not a valid operator"),
        (
            profile(rule("chmod", "SCMP_ACT_TRAP", compare(7, "EQ", 1))),
            "syscalls only have up to 6 arguments (7 given)",
        ),
        (profile(rule("chmod", errno=70000)), "invalid errno 70000"),
        (
            profile(*(rule("chmod", "SCMP_ACT_TRAP", compare(0, "EQ", value)) for value in range(1500))),
            "the kernel takes at most 4096",
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused_by_name(wrong, words):
    with pytest.raises(FilterError) as caught:
        compile_program(wrong, "x86_64")
    assert words in str(caught.value)


def test_a_machine_without_tables_is_refused():
    with pytest.raises(FilterError, match="not supported on vax"):
        compile_program(profile(), "vax")


def test_flags_are_the_kernels_and_speculation_stays_when_nothing_is_said():
    assert filter_flags(profile()) == 4
    assert filter_flags(profile(flags=())) == 0
    assert filter_flags(profile(flags=("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"))) == 2
    with pytest.raises(FilterError, match="seccomp flag FOO is not known"):
        filter_flags(profile(flags=("FOO",)))


def test_the_tables_agree_with_the_running_c_library():
    assert (table("x86_64")["read"], table("x86_64")["openat2"], table("x86")["openat2"]) == (0, 437, 437)
    assert (table("aarch64")["read"], table("arm")["read"], table("x32")["execve"]) == (63, 3, 520)
    assert os.uname().machine in {"x86_64", "aarch64"}
