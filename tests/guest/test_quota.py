"""Sizes of containers are limited on XFS with quotas, which a small virtual machine's kernel has."""

import sys

import pytest
from tests.guest.test_cgroup_v2 import TIMEOUT_SECONDS, in_guest

FILES = ("tests/storage/test_quota.py", "tests/e2e/test_storage_size.py")


@pytest.mark.guest
@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
def test_no_container_takes_more_than_its_size():
    done = in_guest(sys.executable, "-m", "pytest", "-q", f"--timeout={TIMEOUT_SECONDS}", *FILES)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
