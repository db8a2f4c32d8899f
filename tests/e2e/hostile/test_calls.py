"""Every system call, tried from inside: what the filter refuses is what Docker's refuses, and nothing else changes."""

import json
import os
import struct
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the programs and the record are of x86_64")

RECORDED = json.loads((Path(__file__).parents[2] / "libcontainer/seccomp/docker.json").read_text())
ABIS = {"x86_64": "n", "x32": "x", "x86": "i"}
NUMBERS = range(471)
ALLOW, ERRNO, ERRNO_MASK = 0x7FFF0000, 0x00050000, 0xFFFF
SIGSYS = 31
# Not called: it would wait for ever.
LEFT_OUT = ("x86", 72)
# The kernel lets it pass every filter since Linux 6.14: it only means something at a uprobe.
UPROBE = 336
# The probe passes -1: of the recorded first arguments these fall under the same conditions (x32 looks at 32 bits).
LIKE_MINUS_ONE = {"x86_64": 0x7E020000, "x32": 0xFFFFFFFF, "x86": 0xFFFFFFFF}
CALLS = [(abi, number) for abi in ABIS for number in NUMBERS if number != UPROBE and (abi, number) != LEFT_OUT]
SCRIPT = "for how in n x i; do /prober $how; done"


def statuses(text):
    """What one run of the probe printed, by ABI and number."""
    size = 4 * len(NUMBERS)
    assert len(text) == size * len(ABIS)
    return {abi: struct.unpack_from(f"<{len(NUMBERS)}i", text, size * place) for place, abi in enumerate(ABIS)}


@pytest.fixture
def probe(daemon, image, layer, program):
    """Probes from inside of containers with given options."""
    name = image(layer().file("prober", program("prober"), mode=0o755))

    def run(*options):
        command = ("run", "--rm", "--network=none", *options, name, "sh", "-c", SCRIPT)
        return statuses(daemon.docker(*command, text=False).stdout)

    return run


def verdict_of(case, abi, number):
    default, changed = RECORDED["cases"]["default"]["verdicts"], RECORDED["cases"][case]["verdicts"]
    verdict = changed[abi].get(str(number), default[abi][str(number)])
    if isinstance(verdict, list):
        return verdict[RECORDED["values"].index(LIKE_MINUS_ONE[abi])]
    return verdict


def wanted(case, abi, number, unfiltered):
    """The wait status of a call behind Docker's filter, when that without any is known."""
    verdict = verdict_of(case, abi, number)
    if verdict == ALLOW:
        return unfiltered
    if verdict & ~ERRNO_MASK == ERRNO:
        # Where a kernel does not know 32-bit programs the gate itself is deadly, whatever the filter would say.
        return unfiltered if unfiltered & 0x7F and abi == "x86" else (verdict & ERRNO_MASK) << 8
    return SIGSYS


@pytest.mark.parametrize("case", RECORDED["cases"])
def test_a_call_fails_as_in_docker_or_as_without_a_filter(probe, case):
    options = RECORDED["cases"][case]["options"]
    free = probe(*options, "--security-opt", "seccomp=unconfined")
    found = probe(*options)
    different = [
        (abi, number, found[abi][number], expected)
        for abi, number in CALLS
        if (expected := wanted(case, abi, number, free[abi][number])) != found[abi][number]
    ]
    assert different == []


@pytest.mark.parametrize("options", [(), ("--user=1000",)])
def test_an_exec_has_the_filter_of_its_container(daemon, image, layer, program, probe, options):
    name = image(layer().file("prober", program("prober"), mode=0o755))
    daemon.docker("run", "-d", "--name", "there", "--network=none", name, "sleep", "1000")
    entered = statuses(daemon.docker("exec", *options, "there", "sh", "-c", SCRIPT, text=False).stdout)
    born = probe(*options)
    assert [call for call in CALLS if entered[call[0]][call[1]] != born[call[0]][call[1]]] == []


def test_a_privileged_exec_has_the_filter_all_the_same(daemon):
    daemon.docker("run", "-d", "--name", "there", "busybox", "sleep", "1000")
    status = daemon.out("exec", "--privileged", "there", "grep", "Seccomp:", "/proc/self/status")
    assert status.split() == ["Seccomp:", "2"]


def test_a_privileged_container_has_no_filter(probe):
    assert probe("--privileged") == probe("--privileged", "--security-opt=seccomp=unconfined")


PEERS = {
    "default": (),
    "unconfined": ("--security-opt", "seccomp=unconfined"),
    "SYS_ADMIN": ("--cap-add=SYS_ADMIN",),
    "nothing": ("--cap-drop=ALL",),
    "several": tuple(
        f"--cap-add={name}" for name in ("DAC_READ_SEARCH", "SYS_MODULE", "SYS_NICE", "SYS_TIME", "SYSLOG")
    ),
    "privileged": ("--privileged",),
}
OLD_PROFILE = (20, 10)
# By number of x86_64, what 28.5's profile took in or out since: name_to_handle_at, process_vm_readv and _writev, three
# of memory protection keys, three of io_uring; and all calls that are newer than that dockerd.
OLD_DIFFERENCES = {303, 310, 311, 329, 330, 331, 425, 426, 427, *range(450, 471)}


@pytest.mark.peer
def test_a_call_fails_as_in_the_dockerd_that_is_installed(probe, peer, layer, program, busybox_tar):
    is_old = peer.version == OLD_PROFILE
    calls = [
        (abi, number) for abi, number in CALLS if not is_old or (abi == "x86_64" and number not in OLD_DIFFERENCES)
    ]
    text = busybox_tar.read_bytes().rstrip(b"\0")
    text += bytes(-len(text) % 512) + layer().file("prober", program("prober"), mode=0o755).bytes()
    peer.docker("import", "-", "prober", input=text)
    for case, options in PEERS.items():
        # 20.10 asks for capabilities that its own daemon may not have.
        if case == "privileged" and is_old:
            continue
        theirs = statuses(peer.docker("run", "--rm", "--network=none", *options, "prober", "sh", "-c", SCRIPT))
        ours = probe(*options)
        wrong = [call for call in calls if ours[call[0]][call[1]] != theirs[call[0]][call[1]]]
        assert (case, wrong) == (case, [])
