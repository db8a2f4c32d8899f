"""Profiles in Docker's form become runtime-spec filters, or dockerd's errors."""

import json

import pytest

from wherry.engine.defaults.capabilities import DEFAULT
from wherry.engine.defaults.seccomp import seccomp_filter
from wherry.engine.defaults.seccomp_default import ALWAYS, default_profile
from wherry.engine.defaults.seccomp_profile import parse, resolve
from wherry.model.errors import InvalidParameter


def named(filter_):
    return [rule.names for rule in filter_.syscalls]


def with_rules(*rules, **more):
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules, **more})


def rule(name="chmod", **more):
    return {"names": [name], "action": "SCMP_ACT_ERRNO", **more}


def test_the_default_names_as_many_calls_as_dockers():
    # Docker's 426 with the five that only s390, ppc64le and riscv64 have.
    assert len(set(ALWAYS.split())) == 361
    assert len({name for each in default_profile().syscalls for name in each.names}) == 421


def test_the_default_is_made_once_for_each_bounding_set():
    assert seccomp_filter("", DEFAULT) is seccomp_filter("builtin", tuple(reversed(DEFAULT)))
    assert seccomp_filter("", DEFAULT) != seccomp_filter("", ())


def test_unconfined_and_empty_profiles_are_no_filter():
    assert seccomp_filter("unconfined", DEFAULT) is None
    assert seccomp_filter("{}", DEFAULT) is None


def test_capabilities_choose_rules():
    default = seccomp_filter("", DEFAULT)
    assert ("chroot",) in named(default)
    assert ("chroot",) not in named(seccomp_filter("", ()))
    admin = seccomp_filter("", (*DEFAULT, "CAP_SYS_ADMIN"))
    assert any("mount" in names for names in named(admin))
    assert ("clone3",) in named(default)
    assert ("clone3",) not in named(admin)


def test_architectures_come_from_the_map_of_this_machine():
    intel = resolve(default_profile(), DEFAULT, machine="x86_64")
    arm = resolve(default_profile(), DEFAULT, machine="aarch64")
    assert intel.architectures == ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")
    assert arm.architectures == ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")
    assert ("arch_prctl",) in named(intel)
    assert ("arch_prctl",) not in named(arm)
    assert any("cacheflush" in names for names in named(arm))


@pytest.mark.parametrize(
    ("release", "wanted", "counts"),
    [
        ("4.8.0-amd64", "4.8", True),
        ("4.7.9", "4.8", False),
        ("6.1", "4.8", True),
        ("6.18.44-fc", "6.19", False),
    ],
)
def test_kernels_choose_rules(release, wanted, counts):
    including = parse(with_rules(rule(includes={"minKernel": wanted})))
    excluding = parse(with_rules(rule(excludes={"minKernel": wanted})))
    assert bool(resolve(including, (), release=release).syscalls) is counts
    assert bool(resolve(excluding, (), release=release).syscalls) is not counts


def test_excluded_architectures_and_capabilities_take_rules_away():
    profile = parse(with_rules(rule(excludes={"arches": ["amd64"]}), rule("chown", excludes={"caps": ["CAP_BPF"]})))
    assert named(resolve(profile, (), machine="x86_64")) == [("chown",)]
    assert named(resolve(profile, ("CAP_BPF",), machine="aarch64")) == [("chmod",)]


def test_old_and_odd_spellings_are_read():
    text = '{"DEFAULTACTION":"SCMP_ACT_ALLOW","flags":null,"Syscalls":[{"name":"chmod","ACTION":"SCMP_ACT_ERRNO",'
    text += '"errnoRet":7,"args":[{"Index":1,"value":2,"valueTwo":3,"OP":"SCMP_CMP_EQ"}],"comment":"x","includes":{}}]}'
    (found,) = seccomp_filter(text, ()).syscalls
    assert (found.names, found.action, found.errno_ret) == (("chmod",), "SCMP_ACT_ERRNO", 7)
    assert (found.args[0].index, found.args[0].value, found.args[0].value_two) == (1, 2, 3)


def test_all_that_the_runtime_needs_is_handed_on():
    text = with_rules(flags=["SECCOMP_FILTER_FLAG_LOG"], defaultErrnoRet=9, architectures=["SCMP_ARCH_X86"])
    found = seccomp_filter(text, ())
    assert (found.flags, found.default_errno_ret) == (("SECCOMP_FILTER_FLAG_LOG",), 9)
    assert found.architectures == ("SCMP_ARCH_X86",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"archMap":'
            '[{"architecture":"SCMP_ARCH_X86_64"}],"syscalls":[]}',
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'",
        ),
        (
            with_rules({"name": "chown", "names": ["chmod"], "action": "SCMP_ACT_ERRNO"}),
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
        ),
        *(
            (
                with_rules(rule(includes={"minKernel": version})),
                f'Decoding seccomp profile failed: invalid kernel version: "{version}", '
                f'expected "<kernel>.<major>"{rest}',
            )
            for version, rest in (("x", ""), ("4", ""), ("4.8.1", ""), ("0.0", ": version cannot be 0.0"))
        ),
    ],
)
def test_contradictions_are_refused_in_dockerds_words(text, words):
    with pytest.raises(InvalidParameter) as caught:
        seccomp_filter(text, ())
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"defaultAction":5}', '{"syscalls":[{"args":[{"index":-1.5}]}]}', "\ud800", "[" * 100_000]
)
def test_what_is_no_profile_is_refused_with_dockerds_prefix(text):
    with pytest.raises(InvalidParameter, match=r"^Decoding seccomp profile failed: "):
        seccomp_filter(text, ())
