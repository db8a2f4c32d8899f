"""A small XFS that counts and limits what projects take, and what its own tool tells of them."""

import subprocess
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

SIZE = 320 << 20  # mkfs.xfs makes none of less than 300 MiB


@contextmanager
def quota_disk(path, image):
    """A fresh one in a file, mounted on a directory. Skips the test where the kernel has no quotas of XFS."""
    if not _has_quotas():
        pytest.skip("this kernel has no quotas of XFS")
    _mount(path, image)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
        image.unlink()


@cache
def _has_quotas():
    subprocess.run(["busybox", "modprobe", "loop"], capture_output=True)
    with TemporaryDirectory() as directory:
        try:
            _mount(Path(directory), Path(f"{directory}.image"))
        except subprocess.CalledProcessError:
            return False
        finally:
            Path(f"{directory}.image").unlink()
        subprocess.run(["umount", directory], check=True)
    return True


def _mount(path, image):
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.xfs", "-q", image], check=True)
    subprocess.run(["mount", "-t", "xfs", "-o", "loop,pquota", image, path], check=True, capture_output=True)


def report(path):
    """What xfs_quota tells of each project that has files or a limit: {project: (KiB taken, KiB at most)}."""
    command = ["xfs_quota", "-x", "-c", "report -p -n -N -b", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    found = {int(row[0].removeprefix("#")): (int(row[1]), int(row[3])) for row in rows}
    return {project: amounts for project, amounts in found.items() if project != 0}
