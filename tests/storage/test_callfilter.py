"""The worker's filter in force: what it refuses, and that files still work."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from wherry.storage import callfilter

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

PROBE = """
import ctypes, os, socket, sys
from wherry.linux.prctl import set_no_new_privileges
from wherry.linux.seccomp import install
from wherry.storage import callfilter
libc = ctypes.CDLL(None, use_errno=True)
column = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
set_no_new_privileges()
install(callfilter.program())
for name, numbers in callfilter.REFUSED.items():
    if numbers[column] >= 0:
        result = libc.syscall(numbers[column], -1, -1, -1, -1, -1)
        assert (result, ctypes.get_errno()) == (-1, 1), name
assert libc.syscall(0x40000000 | 39) == -1
os.mkdir(sys.argv[1] + "/d")
with open(sys.argv[1] + "/d/f", "w") as file:
    file.write("x")
print("all refused, files work")
"""


@pytest.mark.skipif(os.uname().machine not in {"x86_64", "aarch64"}, reason="no system call numbers for this machine")
def test_every_listed_call_is_refused_and_files_work(tmp_path):
    done = subprocess.run([sys.executable, "-c", PROBE, tmp_path], capture_output=True, text=True)
    assert done.stdout == "all refused, files work\n", done.stderr


@pytest.mark.skipif(not HEADER.exists(), reason="linux-libc-dev is not installed")
def test_the_numbers_are_the_kernels():
    lines = (line.split() for line in HEADER.read_text().splitlines() if line.startswith("#define __NR_"))
    numbers = {words[1].removeprefix("__NR_"): int(words[2]) for words in lines}
    assert {name: both[0] for name, both in callfilter.REFUSED.items()} == {
        name: numbers[name] for name in callfilter.REFUSED
    }


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_jump_leads_out_of_the_program(machine):
    program = callfilter.program(machine)
    steps = list(struct.iter_unpack("=HBBI", program))
    assert steps[-1] == (6, 0, 0, 0x00050001)
    for place, (code, if_true, _, _) in enumerate(steps[4:-2], 4):
        assert code in {0x15, 0x35}
        assert place + 1 + if_true == len(steps) - 1


def test_an_unknown_machine_has_no_filter():
    assert callfilter.program("vax") == b""
