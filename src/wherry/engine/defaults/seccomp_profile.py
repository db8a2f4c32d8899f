"""Docker's form of a system call filter: a runtime-spec profile whose rules depend on container and host."""

import os
import re
from collections.abc import Collection

import msgspec
from msgspec import Struct

from wherry.model.errors import InvalidParameter
from wherry.oci.runtime import Seccomp, SeccompArg, SeccompRule

Strings = tuple[str, ...]

_DECODING = "Decoding seccomp profile failed"
_VERSION = re.compile(r"(\d+)\.(\d+)")

# What os.uname() says, what Go and so Docker's profiles call it, and what libseccomp calls it.
_MACHINES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}


class _Wire(Struct, frozen=True, kw_only=True, rename="camel"):
    """A record of the JSON form; keys are compared without case, as Go does."""


class Filter(_Wire, frozen=True, kw_only=True, rename="camel"):
    """When a rule counts: all `caps` in the bounding set, one of the `arches`, a kernel at least `<kernel>.<major>`."""

    caps: Strings = ()
    arches: Strings = ()
    min_kernel: str = ""


class Rule(_Wire, frozen=True, kw_only=True, rename="camel"):
    """What happens to some calls; `name` is the old spelling of one in `names`."""

    action: str = ""
    name: str = ""
    names: Strings = ()
    errno_ret: int | None = None
    args: tuple[SeccompArg, ...] = ()
    includes: Filter | None = None
    excludes: Filter | None = None


class ArchMap(_Wire, frozen=True, kw_only=True, rename="camel"):
    """An architecture with those whose programs its kernel runs too."""

    architecture: str
    sub_architectures: Strings = ()


class Profile(_Wire, frozen=True, kw_only=True, rename="camel"):
    """A whole profile (moby `profiles/seccomp/seccomp.go`)."""

    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: Strings = ()
    arch_map: tuple[ArchMap, ...] = ()
    flags: Strings | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[Rule, ...] = ()


_KEYS = {
    field.encode_name.lower(): field.encode_name
    for record in (Profile, ArchMap, Rule, Filter, SeccompArg)
    for field in msgspec.structs.fields(record)
}


def parse(text: str) -> Profile:
    """A profile as --security-opt seccomp= carries it. Raises InvalidParameter with dockerd's prefix."""
    try:
        profile = msgspec.convert(_named(msgspec.json.decode(text)), Profile)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidParameter(f"{_DECODING}: {error}") from None
    for rule in profile.syscalls:
        for condition in (rule.includes, rule.excludes):
            if condition is not None and condition.min_kernel:
                _version(condition.min_kernel)
    return profile


def resolve(profile: Profile, bounding: Collection[str], *, machine: str = "", release: str = "") -> Seccomp | None:
    """The runtime-spec's filter for a container with these capabilities on this host; None when it says nothing.

    `machine` and `release` are those of uname(2), this host's when empty. Raises InvalidParameter.
    """
    if not profile.default_action and not profile.syscalls:
        return None
    if profile.architectures and profile.arch_map:
        raise InvalidParameter(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    host = os.uname()
    go_name, native = _MACHINES.get(machine or host.machine, ("", ""))
    kernel = _version_of_release(release or host.release)
    mapped = next((each for each in profile.arch_map if each.architecture == native), None)
    return Seccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=profile.architectures if mapped is None else (native, *mapped.sub_architectures),
        flags=profile.flags,
        listener_path=profile.listener_path,
        listener_metadata=profile.listener_metadata,
        syscalls=tuple(_plain(rule) for rule in profile.syscalls if _counts(rule, bounding, go_name, kernel)),
    )


def _plain(rule: Rule) -> SeccompRule:
    names = (rule.name,) if rule.name else rule.names
    return SeccompRule(names=names, action=rule.action, errno_ret=rule.errno_ret, args=rule.args)


def _counts(rule: Rule, bounding: Collection[str], machine: str, kernel: tuple[int, int]) -> bool:
    if rule.name and rule.names:
        raise InvalidParameter(
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
        )
    without, within = rule.excludes or Filter(), rule.includes or Filter()
    if machine in without.arches or any(name in bounding for name in without.caps):
        return False
    if without.min_kernel and kernel >= _version(without.min_kernel):
        return False
    if within.arches and machine not in within.arches:
        return False
    if within.min_kernel and kernel < _version(within.min_kernel):
        return False
    return all(name in bounding for name in within.caps)


def _version(text: str) -> tuple[int, int]:
    match = _VERSION.fullmatch(text)
    wrong = f'{_DECODING}: invalid kernel version: "{text}", expected "<kernel>.<major>"'
    if match is None:
        raise InvalidParameter(wrong)
    version = int(match[1]), int(match[2])
    if version == (0, 0):
        raise InvalidParameter(f"{wrong}: version cannot be 0.0")
    return version


def _version_of_release(release: str) -> tuple[int, int]:
    match = _VERSION.match(release)
    if match is None:
        raise InvalidParameter(f'failed to parse kernel version "{release}"')
    return int(match[1]), int(match[2])


def _named(value: object) -> object:
    """JSON with its keys in the records' case, and without nulls, which mean "not said"."""
    if isinstance(value, list):
        return [_named(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {_KEYS.get(key.lower(), key): _named(each) for key, each in value.items() if each is not None}
