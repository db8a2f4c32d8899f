"""The tests that meet cgroups pass on pure cgroup v2 too, in a small virtual machine."""

import subprocess
import sys
from pathlib import Path

import pytest

MACHINE = Path(__file__).parent / "machine.py"
REPOSITORY = Path(__file__).parents[2]
SKIP = 77
TIMEOUT_SECONDS = 540

# Not the runtime's command line: each start of an interpreter takes seconds under emulation.
SUITES = {
    "cgroups": ("tests/linux/test_cgroup.py", "tests/libcontainer/cgroups"),
    "containers": ("tests/libcontainer/test_*.py",),
}
# With a daemon and Docker's command line, which is slow under emulation: what differs with the control groups and the
# age of the kernel.
DAEMON = "limits_reach or running_out or come_back or ulimit or devices or read_only or masked or privileged"

CHANGES = "raised_and_lowered or processors_and_pids or what_the_control_group"


def in_guest(*command):
    """Run a command in the guest; skips the test with the reason where there can be none."""
    done = subprocess.run(
        [sys.executable, MACHINE, "--timeout", str(TIMEOUT_SECONDS), "--", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    if done.returncode == SKIP:
        pytest.skip(done.stderr.strip())
    return done


@pytest.mark.guest
@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_passes_on_cgroup_v2(suite):
    files = sorted(str(path.relative_to(REPOSITORY)) for name in SUITES[suite] for path in REPOSITORY.glob(name))
    done = in_guest(sys.executable, "-m", "pytest", "-q", "-m", "not guest and not peer", *files)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout


@pytest.mark.guest
@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
def test_containers_of_a_daemon_run_on_cgroup_v2():
    files = ("tests/e2e/test_isolation.py", "tests/e2e/test_run.py")
    done = in_guest(sys.executable, "-m", "pytest", "-q", "-m", "not guest and not peer", "-k", DAEMON, *files)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout


@pytest.mark.guest
@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
def test_limits_are_changed_and_counted_on_cgroup_v2():
    files = ("tests/e2e/test_update.py", "tests/e2e/test_stats.py")
    limit = f"--timeout={TIMEOUT_SECONDS}"  # under emulation a daemon alone takes a while to start
    done = in_guest(sys.executable, "-m", "pytest", "-q", limit, "-k", CHANGES, *files)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "3 passed" in done.stdout


@pytest.mark.guest
def test_the_guest_hands_on_what_a_command_says_and_its_status():
    done = in_guest("sh", "-c", "cat /proc/self/cgroup; exit 7")
    assert done.returncode == 7
    assert done.stdout.strip() == "0::/"
