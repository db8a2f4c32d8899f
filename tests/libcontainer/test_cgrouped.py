"""A container in a cgroup of its own: it is born there, sees only that, and so do those who enter."""

import contextlib
import os
import uuid
from pathlib import Path

import pytest

from wherry.libcontainer import cgroups
from wherry.libcontainer.birth import Birth, BirthError, Stdio
from wherry.oci.runtime import Mount, Pids, Resources

pytestmark = pytest.mark.usefixtures("nothing_left")

SHOWN = (
    Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup", options=("ro", "nosuid", "noexec", "nodev")),
)
PRIVATE = ("pid", "network", "mount", "ipc", "uts", "cgroup")


@pytest.fixture
def group():
    name = f"wherry-test-{uuid.uuid4().hex[:12]}"
    group = cgroups.create(f"/{name}", "")
    group.apply(Resources(pids=Pids(limit=77)))
    yield group
    group.kill()
    group.remove()
    group.close()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{name}"))


def test_it_is_born_in_its_cgroup_and_so_is_what_enters(cellar, group):
    spec = cellar.spec("sleep", "1000")
    child = cellar.start(spec, cgroup=group)
    assert group.pids() == [child.pid]
    result = cellar.enter(child, spec, "cat", "/proc/self/cgroup", cgroup=group)
    assert all(line.endswith(f"/{group.path}") for line in result.lines if ":pids:" in line or ":memory:" in line)
    cellar.undo.close()
    assert group.wait_until_empty(10)


@pytest.mark.parametrize("namespaces", [PRIVATE, PRIVATE[:-1]], ids=["own namespace", "the host's namespace"])
def test_it_sees_its_own_limits_and_cannot_change_them(cellar, group, namespaces):
    find = "cd /sys/fs/cgroup; cat pids/pids.max pids.max 2>/dev/null; echo 5 > pids/pids.max; echo 5 > pids.max; ls"
    result = cellar.run("sh", "-c", find, extra=SHOWN, namespaces=namespaces, plan={"cgroup": group})
    if group.version == 1:
        assert result.lines[0] == "77"
        assert "pids" in result.lines
    assert result.err.count("Read-only file system") == (2 if group.version == 1 else 1)


def test_no_release_agent_of_the_host_can_be_written(cellar, group):
    """CVE-2022-0492."""
    files = "/sys/fs/cgroup/*/release_agent /sys/fs/cgroup/release_agent"
    script = f"for file in {files}; do echo /x > $file && echo written; done; mkdir /sys/fs/cgroup/x"
    result = cellar.run("sh", "-c", script, extra=SHOWN, namespaces=PRIVATE[:-1], plan={"cgroup": group})
    assert result.out == ""
    assert "mkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system" in result.err


def test_a_cgroup_that_can_hold_no_more_fails_the_birth_and_leaves_nothing(cellar, group):
    group.update(Resources(pids=Pids(limit=1)))
    child = cellar.start(cellar.spec("sleep", "1000"), cgroup=group)
    with pytest.raises(OSError):
        cellar.enter(child, cellar.spec("true"), "true", cgroup=group)
    assert group.pids() == [child.pid]
    cellar.undo.close()
    assert group.wait_until_empty(10)
    assert not os.path.exists(f"/proc/{child.pid}")


@contextlib.contextmanager
def prepared(cellar, group, *args):
    """A birth whose cgroup follows, and where its output can be read."""
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    follows = {"cgroup_follows": True, "clone_fd": group.clone_fd}
    with cellar.plan(cellar.spec(*args, extra=SHOWN, namespaces=PRIVATE[:-1]), **follows) as plan:
        birth = Birth(plan, Stdio(stdin=null, stdout=writing, stderr=writing))
        try:
            yield birth, reading
        finally:
            birth.close()
            for fd in (null, reading, writing):
                os.close(fd)


def in_a_fork(birth):
    """Another process that begins and finishes; its exit code is the program's, 100 when there is none."""
    pid = os.fork()
    if pid:
        return pid
    code = 101
    try:
        birth.begin()
        child = birth.finish()
        code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
    except BirthError as error:
        os.write(1, str(error).encode())
        code = 100
    finally:
        os._exit(code)


@pytest.mark.skipif(cgroups.version() == 2, reason="on v2 a process is born in its cgroup")
def test_a_cgroup_can_be_given_later_by_another_process_than_the_parent(cellar, group):
    with prepared(cellar, group, "sh", "-c", "cat /sys/fs/cgroup/pids/pids.max; cat /proc/self/cgroup") as (birth, out):
        monitor = in_a_fork(birth)
        birth.stand_aside()
        birth.give(group)
        assert os.waitstatus_to_exitcode(os.waitpid(monitor, 0)[1]) == 0
        limit, *places = os.read(out, 65536).decode().splitlines()
    assert limit == "77"
    assert all(place.endswith(f"/{group.path}") for place in places if ":name=" not in place)


@pytest.mark.skipif(cgroups.version() == 2, reason="on v2 a process is born in its cgroup")
def test_who_waits_for_a_cgroup_hears_why_there_is_none(cellar, group):
    with prepared(cellar, group, "true") as (birth, _):
        monitor = in_a_fork(birth)
        birth.stand_aside()
        birth.refuse(BirthError("cgroup", 0, "", "no room"))
        assert os.waitstatus_to_exitcode(os.waitpid(monitor, 0)[1]) == 100


@pytest.mark.skipif(cgroups.version() == 2, reason="on v2 a process is born in its cgroup")
def test_the_death_of_who_makes_the_cgroup_ends_the_birth(cellar, group):
    with prepared(cellar, group, "true") as (birth, _):
        birth.begin()  # with this, nobody is left who could give
        with pytest.raises(BirthError, match="the process that makes the cgroup was killed"):
            birth.finish()
