"""--cap-add, --cap-drop and --privileged give what dockerd gives, and its words when they cannot."""

import pytest

from wherry.engine.defaults.capabilities import (
    DEFAULT,
    available,
    capability_sets,
    check,
    granted,
    lacking,
    normal,
)
from wherry.linux.capability import NAMES, NUMBERS, last_capability, mask
from wherry.model.errors import InvalidParameter

EVERYTHING = NAMES


def give(add=(), drop=(), *, privileged=False, available=EVERYTHING):
    return granted(add, drop, privileged=privileged, available=available)


def test_the_default_is_dockers_mask():
    assert mask(NUMBERS[name] for name in give()) == 0xA80425FB
    assert len(DEFAULT) == 14


def test_names_are_taken_in_any_spelling():
    assert normal(["chown", "cap_kill", "CAP_BPF", "all"], EVERYTHING) == ("CAP_CHOWN", "CAP_KILL", "CAP_BPF", "ALL")


@pytest.mark.parametrize(
    ("add", "drop", "result"),
    [
        (["NET_ADMIN"], [], (*DEFAULT, "CAP_NET_ADMIN")),
        (["CHOWN", "chown"], [], DEFAULT),
        ([], ["CHOWN"], DEFAULT[1:]),
        ([], ["ALL"], ()),
        (["KILL", "CHOWN"], ["ALL"], ("CAP_KILL", "CAP_CHOWN")),
        (["ALL"], [], EVERYTHING),
        (["ALL"], ["CHOWN"], EVERYTHING[1:]),
        (["ALL"], ["ALL"], EVERYTHING),
        (["CHOWN"], ["CHOWN"], (*DEFAULT[1:], "CAP_CHOWN")),
    ],
)
def test_additions_and_drops_go_as_dockers(add, drop, result):
    assert give(add, drop) == result


def test_privileged_is_all_that_the_daemon_has():
    assert give([], ["ALL"], privileged=True, available=("CAP_CHOWN", "CAP_KILL")) == ("CAP_CHOWN", "CAP_KILL")


def test_defaults_that_the_daemon_lacks_are_left_out():
    assert give(available=("CAP_KILL", "CAP_BPF")) == ("CAP_KILL",)


@pytest.mark.parametrize(
    ("add", "drop", "words"),
    [
        (["FOO"], ["BAR"], 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ([], ["foo"], 'invalid CapDrop: unknown capability: "CAP_FOO"'),
        (["CAP_ALL"], [], 'invalid CapAdd: unknown capability: "CAP_ALL"'),
        (
            ["SYS_RESOURCE"],
            [],
            "invalid CapAdd: capability not supported by your kernel or not available in the current environment: "
            '"CAP_SYS_RESOURCE"',
        ),
    ],
)
def test_wrong_names_are_refused_in_dockerds_words(add, drop, words):
    with pytest.raises(InvalidParameter) as caught:
        check(add, drop, ["CAP_CHOWN"])
    assert str(caught.value) == words


def test_only_root_starts_with_capabilities_and_nobody_inherits_any():
    root, user = capability_sets(DEFAULT, uid=0), capability_sets(DEFAULT, uid=1000)
    assert (root.bounding, root.effective, root.permitted, root.inheritable, root.ambient) == (*[DEFAULT] * 3, (), ())
    assert (user.bounding, user.effective, user.permitted, user.inheritable, user.ambient) == (DEFAULT, (), (), (), ())


def test_what_is_available_and_what_is_lacking_make_up_the_kernels():
    assert {*available(), *lacking()} == set(NAMES[: last_capability() + 1])
    assert not set(available()) & set(lacking())
