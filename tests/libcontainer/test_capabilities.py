"""Capability sets of the runtime-spec on real processes."""

import os
from pathlib import Path

import pytest

from wherry.libcontainer import capabilities
from wherry.libcontainer.capabilities import UnknownCapability
from wherry.linux.capability import NUMBERS, last_capability
from wherry.linux.prctl import set_keep_capabilities
from wherry.oci.runtime import Capabilities

KILL, CHOWN = 1 << NUMBERS["CAP_KILL"], 1 << NUMBERS["CAP_CHOWN"]


def sets():
    """(inheritable, permitted, effective, bounding, ambient) of this process as masks."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":\t") for line in lines if line.startswith("Cap"))
    return tuple(int(found[f"Cap{key}"], 16) for key in ("Inh", "Prm", "Eff", "Bnd", "Amb"))


def in_child(act):
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            act()
            os.write(write_end, repr(sets()).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return tuple(map(int, text.strip("()").split(",")))


def put_on(wanted, uid=0):
    def act():
        capabilities.drop_bounding(wanted)
        if uid:
            set_keep_capabilities(on=True)
            os.setresuid(uid, uid, uid)
        capabilities.apply(wanted)

    return in_child(act)


def test_every_set_is_as_it_was_said():
    names = ("CAP_KILL", "CAP_CHOWN")
    wanted = Capabilities(
        bounding=names, effective=names[:1], permitted=names, inheritable=names[:1], ambient=names[:1]
    )
    assert put_on(wanted) == (KILL, KILL | CHOWN, KILL, KILL | CHOWN, KILL)


def test_nothing_said_is_nothing_left():
    assert put_on(Capabilities()) == (0, 0, 0, 0, 0)


def test_a_user_keeps_what_is_said_and_no_more():
    names = ("CAP_KILL",)
    assert put_on(Capabilities(bounding=names, effective=names, permitted=names), uid=1000) == (0, KILL, KILL, KILL, 0)
    assert put_on(Capabilities(bounding=names), uid=1000) == (0, 0, 0, KILL, 0)


def test_an_ambient_capability_that_is_not_inheritable_is_left_out():
    names = ("CAP_KILL",)
    wanted = Capabilities(bounding=names, permitted=names, ambient=names)
    assert put_on(wanted) == (0, KILL, 0, KILL, 0)


def test_what_is_held_is_a_part_of_what_is_supported():
    assert set(capabilities.held()) <= set(capabilities.supported())
    assert len(capabilities.supported()) == last_capability() + 1


def test_unknown_names_are_refused():
    with pytest.raises(UnknownCapability, match='unknown capability "CAP_FOO"'):
        capabilities.apply(Capabilities(effective=("CAP_FOO",)))
