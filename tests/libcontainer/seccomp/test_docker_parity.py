"""Our filter for each set of capabilities says what that of a real dockerd says, for every call and argument."""

import json
import os
from pathlib import Path

import pytest

from wherry.engine.defaults import capabilities
from wherry.engine.defaults.seccomp import seccomp_filter
from wherry.libcontainer.seccomp import compile_program, filter_flags
from wherry.linux import capability, seccomp
from wherry.linux.libc import declare_syscall
from wherry.linux.prctl import set_no_new_privileges

RECORDED = json.loads((Path(__file__).parent / "docker.json").read_text())
# dockerd was asked where one capability was missing, which changes none of these rules.
AVAILABLE = capability.NAMES
# The kernel lets it pass every filter since Linux 6.14: it only means something at a uprobe.
UPROBE = 336
ERRNO, ERRNO_MASK = 0x00050000, 0xFFFF


def bounding_of(options):
    added = [option.removeprefix("--cap-add=") for option in options if option.startswith("--cap-add")]
    dropped = [option.removeprefix("--cap-drop=") for option in options if option.startswith("--cap-drop")]
    return capabilities.granted(added, dropped, privileged=False, available=AVAILABLE)


@pytest.mark.parametrize("case", RECORDED["cases"])
def test_every_call_gets_dockers_verdict(evaluate, case):
    recorded = RECORDED["cases"][case]
    program = compile_program(seccomp_filter("", bounding_of(recorded["options"])), "x86_64")
    default = RECORDED["cases"]["default"]["verdicts"]
    different = []
    for abi, numbers in default.items():
        for number, verdict in (numbers | recorded["verdicts"][abi]).items():
            # Where the first argument does not matter two values of it are enough.
            values = RECORDED["values"] if isinstance(verdict, list) else (0, 0x7E020000)
            given = verdict if isinstance(verdict, list) else [verdict] * len(values)
            ours = [evaluate(program, abi, int(number), value) for value in values]
            if ours != given:
                different.append((abi, number, ours, given))
    assert different == []


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the record is of x86_64")
def test_the_kernel_refuses_what_docker_refuses():
    verdicts = RECORDED["cases"]["default"]["verdicts"]["x86_64"]
    refused = {
        int(number): verdict & ERRNO_MASK
        for number, verdict in verdicts.items()
        if isinstance(verdict, int) and verdict & ~ERRNO_MASK == ERRNO and int(number) != UPROBE
    }
    assert len(refused) > 150
    assert probe(refused) == refused


def probe(numbers):
    """The errno of each call, made with worthless arguments in a child behind the default filter."""
    filter_ = seccomp_filter("", capabilities.DEFAULT)
    program, flags = compile_program(filter_), filter_flags(filter_)
    calls = {number: declare_syscall(number) for number in numbers}
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            set_no_new_privileges()
            seccomp.install(program, flags)
            os.write(write_end, json.dumps(refusals(calls)).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answers:
        found = json.load(answers)
    os.waitpid(child, 0)
    return {int(number): errno for number, errno in found.items()}


def refusals(calls):
    import ctypes

    found = {}
    for number, call in calls.items():
        ctypes.set_errno(0)
        found[number] = ctypes.get_errno() if call(-1, -1, -1, -1, -1, -1) == -1 else 0
    return found
