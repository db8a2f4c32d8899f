"""Birth by a process that was made ahead: it becomes the container's first one, or nothing is left of it."""

import contextlib
import os
import signal
import traceback
import uuid
from pathlib import Path

import pytest

from wherry.libcontainer import becoming, channel
from wherry.libcontainer.birth import BirthError, Plan, Stdio
from wherry.linux import process
from wherry.oci.runtime import Mount, Pids, Resources, Rlimit

pytestmark = pytest.mark.usefixtures("nothing_left")

SHOWN = (
    Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup", options=("ro", "nosuid", "noexec", "nodev")),
)
SPACES = ("pid", "network", "mount", "ipc", "uts")
NO_PROGRAM = 100


@pytest.fixture
def path():
    name = f"wherry-test-{uuid.uuid4().hex[:12]}"
    yield f"/{name}"
    for directory in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        directory.rmdir()


@contextlib.contextmanager
def monitor(work):
    """A process with one thread does `work`, which tells an exit code; its pid."""
    pid = os.fork()
    if not pid:
        code = 101
        try:
            code = work()
        except BirthError as error:
            os.write(1, f"{error.stage}: {error}".encode())
            code = NO_PROGRAM
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    yield pid


def bear(plan, path, out, *, meddle=lambda midwife: None, resources=None):
    """In the monitor: a midwife, its becoming, and the program's exit code."""
    ours, theirs = channel.pair()
    for number in (1, 2):
        os.dup2(out, number)
    pid, midwife = process.clone3()
    if not pid:
        ours.close()
        becoming.become(plan, resources, Stdio(stdin=0, stdout=1, stderr=2), theirs, path)
    theirs.close()
    expected = becoming.Expectation(lambda: Plan(id=plan.id, spec=plan.spec, rootfs_fd=-1), ours, midwife)
    if meddle(expected):
        return NO_PROGRAM
    child = expected.finish()
    return os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])


def born(cellar, path, *args, meddle=lambda expected: None, resources=None, namespaces=SPACES, process=None):
    """(exit code, output) of a container that is born so."""
    reading, writing = os.pipe()
    spec = cellar.spec(*args, extra=SHOWN, namespaces=namespaces, process=process)
    with cellar.plan(spec) as plan:

        def work():
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            return bear(plan, path, writing, meddle=meddle, resources=resources)

        with monitor(work) as pid:
            os.close(writing)
            with open(reading) as output:
                text = output.read()
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def test_it_is_the_first_process_in_the_cgroup_that_it_made(cellar, path):
    script = "echo $$; cat /proc/self/cgroup; cat /sys/fs/cgroup/pids/pids.max; exit 3"
    code, out = born(cellar, path, "sh", "-c", script, resources=Resources(pids=Pids(limit=77)))
    first, *places = out.splitlines()
    assert (code, first) == (3, "1")
    groups = [line for line in places if ":" in line and "cat:" not in line]
    assert groups
    assert all(line.endswith(path) for line in groups if ":name=" not in line)
    assert "77" in places or any("can't open" in line for line in places)


def test_what_it_asks_of_its_parent_is_done(cellar, path):
    limits = {"rlimits": (Rlimit(type="RLIMIT_NOFILE", soft=123, hard=123),)}
    code, out = born(cellar, path, "sh", "-c", "ulimit -n", process=limits)
    assert (code, out) == (0, "123\n")


def test_where_no_cgroup_can_be_made_that_is_said_and_nothing_is_left(cellar, path):
    taken = Path("/sys/fs/cgroup/pids" if Path("/sys/fs/cgroup/pids").exists() else "/sys/fs/cgroup") / path[1:]
    code, out = born(cellar, path + "\0", "true")
    assert (code, out.partition(":")[0]) == (NO_PROGRAM, becoming.NO_CGROUP)
    assert not taken.exists()


def test_a_program_that_is_not_there_is_said(cellar, path):
    code, out = born(cellar, path, "nonsense")
    assert code == NO_PROGRAM
    assert "executable file not found" in out


def test_a_killed_midwife_is_said(cellar, path):
    def kill(expected):
        process.pidfd_send_signal(expected._midwife, signal.SIGSTOP)
        process.pidfd_send_signal(expected._midwife, signal.SIGKILL)

    code, out = born(cellar, path, "sleep", "0", meddle=kill)
    # It may have become the container before: then that goes on.
    assert (code, out.partition(":")[0]) in ((NO_PROGRAM, "clone"), (0, ""))


@pytest.mark.parametrize("is_born", [False, True], ids=["before", "after"])
def test_given_up_nothing_of_it_is_left(cellar, path, is_born):
    def give_up(expected):
        if is_born:  # the midwife's end is the birth
            os.waitid(os.P_PIDFD, expected._midwife, os.WEXITED | os.WNOWAIT)
        expected.give_up()
        return True

    code, out = born(cellar, path, "sleep", "1000", meddle=give_up)
    assert (code, out) == (NO_PROGRAM, "")
