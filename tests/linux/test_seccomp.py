"""seccomp(2) on a real process."""

import os
import struct

import pytest

from wherry.linux import seccomp
from wherry.linux.prctl import set_no_new_privileges

ALLOW, LOG, ERRNO = 0x7FFF0000, 0x7FFC0000, 0x00050000


def give(action):
    return struct.pack("=HBBI", 0x06, 0, 0, action)


def refuse(number, errno):
    return (
        struct.pack("=HBBI", 0x20, 0, 0, 0)
        + struct.pack("=HBBI", 0x15, 0, 1, number)
        + give(ERRNO | errno)
        + give(ALLOW)
    )


def test_a_filter_holds_from_then_on():
    number = {"x86_64": 83, "aarch64": 34}[os.uname().machine]  # mkdir, mkdirat
    child = os.fork()
    if child == 0:
        status = 1
        try:
            set_no_new_privileges()
            seccomp.install(refuse(number, 97), seccomp.FLAG_SPEC_ALLOW)
            os.mkdir("/tmp/never")
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 97


def test_a_program_that_the_kernel_rejects_is_an_oserror():
    with pytest.raises(OSError, match="seccomp SECCOMP_SET_MODE_FILTER: invalid argument"):
        seccomp.install(b"")


def test_the_kernel_tells_which_actions_it_knows():
    assert seccomp.is_action_available(LOG)
    assert not seccomp.is_action_available(0x12340000)
