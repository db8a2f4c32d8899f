"""What a profile says about each system call of one architecture."""

import functools
import importlib
from dataclasses import dataclass, field

from wherry.libcontainer.seccomp.actions import COMPARISONS, Abi, action
from wherry.libcontainer.seccomp.errors import FilterError
from wherry.oci.runtime import Seccomp, SeccompArg, SeccompRule

Condition = SeccompArg
Conditions = tuple[Condition, ...]

ARGUMENTS = 6

# Calls that 32-bit x86 makes as a number in the first argument of one call (include/uapi/linux/net.h, ipc.h).
_SOCKET_CALLS = (
    "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
    "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg",
    "sendmmsg",
)  # fmt: skip
_IPC_CALLS = {
    "semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
    "shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
}  # fmt: skip
_MULTIPLEXED = {
    "x86": {name: ("socketcall", number) for number, name in enumerate(_SOCKET_CALLS, 1)}
    | {name: ("ipc", number) for name, number in _IPC_CALLS.items()}
}

# ARM's own calls live far above all others and say nothing about how new a profile is.
_PRIVATE_FROM = 0x0F0000


@dataclass(slots=True)
class Verdict:
    """What happens to one call: the first of `choices` whose conditions all hold, else `always`, else the default."""

    always: int | None = None
    choices: list[tuple[Conditions, int]] = field(default_factory=list)


def verdicts(profile: Seccomp, abi: Abi) -> dict[int, Verdict]:
    """By number. Names that the architecture does not have are skipped, as libseccomp does. Raises FilterError.

    As with libseccomp a rule without conditions wins over those with, whatever their order, and the first such
    rule over later ones; rules that only repeat the default are nothing.
    """
    numbers = table(abi.name)
    multiplexed = _MULTIPLEXED.get(abi.name, {})
    found: dict[int, Verdict] = {}
    default = action(profile.default_action, profile.default_errno_ret)
    for rule in profile.syscalls:
        result = action(rule.action, rule.errno_ret)
        if result == default:
            continue
        alternatives = _alternatives(rule)
        for name in rule.names:
            if name in numbers:
                _add(found.setdefault(numbers[name], Verdict()), alternatives, result)
            if name in multiplexed:
                # The arguments are behind a pointer, so only which call it is can be told.
                call, number = multiplexed[name]
                which = (SeccompArg(index=0, value=number, op="SCMP_CMP_EQ"),)
                _add(found.setdefault(numbers[call], Verdict()), (which,), result)
    return found


def newest_named(profile: Seccomp, abi: Abi) -> int:
    """The highest number of all calls that a profile names; -1 when it names none."""
    numbers = table(abi.name)
    known = (numbers.get(name, -1) for rule in profile.syscalls for name in rule.names)
    return max((number for number in known if number < _PRIVATE_FROM), default=-1)


@functools.cache
def table(abi_name: str) -> dict[str, int]:
    """The numbers of an architecture's calls by name."""
    text: str = importlib.import_module(f"wherry.libcontainer.seccomp.tables.{abi_name}").NAMES
    numbers: dict[str, int] = {}
    number = 0
    for word in text.split():
        if word[0] == "@":
            number = int(word[1:])
            continue
        numbers[word] = number
        number += 1
    return numbers


def _alternatives(rule: SeccompRule) -> tuple[Conditions, ...]:
    """The sets of conditions of which one must hold; one empty set for a rule without conditions."""
    for condition in rule.args:
        _check(condition, rule)
    indexes = [condition.index for condition in rule.args]
    if len(set(indexes)) < len(indexes):
        # Two conditions on one argument: each stands alone. A quirk of runc's that profiles rely on (runc#2735).
        return tuple((condition,) for condition in rule.args)
    return (rule.args,)


def _check(condition: Condition, rule: SeccompRule) -> None:
    if condition.op not in COMPARISONS:
        raise FilterError(f"string {condition.op} is not a valid operator for seccomp")
    if not 0 <= condition.index < ARGUMENTS:
        name = next(iter(rule.names), "")
        raise FilterError(
            f"error creating seccomp syscall condition for syscall {name}: "
            f"syscalls only have up to {ARGUMENTS} arguments ({condition.index} given)"
        )


def _add(verdict: Verdict, alternatives: tuple[Conditions, ...], result: int) -> None:
    for conditions in alternatives:
        if conditions:
            verdict.choices.append((conditions, result))
        elif verdict.always is None:
            verdict.always = result
