"""The tests that meet cgroups pass on pure cgroup v2 too, in a small virtual machine."""

import pytest
from tests.guest.conftest import REPOSITORY, TIMEOUT_SECONDS, suite

# Not the runtime's command line: each start of an interpreter takes seconds under emulation.
CGROUPS = ("tests/linux/test_cgroup.py", "tests/libcontainer/cgroups")
CONTAINERS = sorted(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("tests/libcontainer/test_*.py"))
# With a daemon and Docker's command line, which is slow under emulation: what differs with the control groups and the
# age of the kernel.
DAEMON = "limits_reach or running_out or come_back or ulimit or devices or read_only or masked or privileged"

CHANGES = "raised_and_lowered or processors_and_pids or what_the_control_group"


@suite(*CGROUPS)
def test_cgroups_are_written_on_cgroup_v2(done):
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout


@suite(*CONTAINERS)
def test_containers_run_on_cgroup_v2(done):
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout


@suite("-k", DAEMON, "tests/e2e/test_isolation.py", "tests/e2e/test_run.py")
def test_containers_of_a_daemon_run_on_cgroup_v2(done):
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout


@suite("-k", CHANGES, "tests/e2e/test_update.py", "tests/e2e/test_stats.py")
def test_limits_are_changed_and_counted_on_cgroup_v2(done):
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "3 passed" in done.stdout


@pytest.mark.guest("sh", "-c", "cat /proc/self/cgroup; exit 7")
@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
def test_the_guest_hands_on_what_a_command_says_and_its_status(done):
    assert done.returncode == 7
    assert done.stdout.strip() == "0::/"
