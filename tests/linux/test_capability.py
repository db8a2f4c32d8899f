"""capabilities(7) of real processes."""

import os
from pathlib import Path

import pytest

from wherry.linux import capability
from wherry.linux.capability import NAMES, Sets

KILL, CHOWN = capability.NUMBERS["CAP_KILL"], capability.NUMBERS["CAP_CHOWN"]


def in_child(act):
    """What a forked child's function returns, as a list of numbers."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write_end, repr(act()).encode())
        except OSError as error:
            os.write(write_end, repr(error.errno).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return eval(text, {"Sets": Sets})


def status(key):
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key)]
    return int(line.split()[1], 16)


def test_the_last_capability_is_what_proc_says():
    assert capability.last_capability() == int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert len(NAMES) - 1 >= 40


def test_capget_reads_what_proc_shows():
    sets = capability.capget()
    assert (sets.effective, sets.permitted, sets.inheritable) == (status("CapEff"), status("CapPrm"), status("CapInh"))
    assert capability.capget(os.getpid()) == sets


def test_capset_gives_up_and_cannot_take_back():
    def act():
        capability.capset(Sets(1 << KILL, 1 << KILL | 1 << CHOWN, 0))
        lowered = capability.capget()
        try:
            capability.capset(Sets(0, 1 << 21, 0))
        except PermissionError as error:
            return tuple(lowered), error.errno
        return tuple(lowered), 0

    assert in_child(act) == ((1 << KILL, 1 << KILL | 1 << CHOWN, 0), 1)


def test_capabilities_above_31_travel_whole():
    high = capability.NUMBERS["CAP_BPF"]
    assert in_child(lambda: (capability.capset(Sets(0, 1 << high, 0)), capability.capget().permitted)[1]) == 1 << high


def test_the_bounding_set_only_shrinks():
    def act():
        before = capability.in_bounding_set(KILL)
        capability.drop_from_bounding_set(KILL)
        return before, capability.in_bounding_set(KILL), status("CapBnd") >> KILL & 1

    assert in_child(act) == (True, False, 0)


def test_ambient_needs_inheritable():
    def act():
        try:
            capability.raise_ambient(KILL)
        except PermissionError:
            pass
        else:
            return None
        sets = capability.capget()
        capability.capset(sets._replace(inheritable=1 << KILL))
        capability.raise_ambient(KILL)
        raised = capability.in_ambient_set(KILL)
        capability.clear_ambient()
        return raised, capability.in_ambient_set(KILL)

    assert in_child(act) == (True, False)


@pytest.mark.parametrize("numbers", [(), (0,), (0, 5, 40), (31, 32)])
def test_masks_and_numbers_are_one(numbers):
    assert capability.numbers_in(capability.mask(numbers)) == numbers


def test_an_unknown_capability_is_an_oserror():
    with pytest.raises(OSError, match="prctl"):
        capability.in_bounding_set(63)
