"""A container in a cgroup of its own: it is born there, sees only that, and so do those who enter."""

import os
import uuid
from pathlib import Path

import pytest

from wherry.libcontainer import cgroups
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
