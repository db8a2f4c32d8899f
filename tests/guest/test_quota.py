"""Sizes of containers are limited on XFS with quotas, which a small virtual machine's kernel has."""

from tests.guest.conftest import suite


@suite("tests/storage/test_quota.py", "tests/e2e/test_storage_size.py")
def test_no_container_takes_more_than_its_size(done):
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
