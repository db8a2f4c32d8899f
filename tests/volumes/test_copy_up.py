"""An image's content in a new volume."""

import os
import stat

import pytest

from wherry.model.errors import InvalidParameter
from wherry.volumes.inside import copy_up


@pytest.fixture
def image(root):
    data = root / "image/srv/data"
    data.mkdir(parents=True)
    (data / "file").write_text("content")
    os.chown(data / "file", 5, 6)
    (data / "file").chmod(0o4750)
    os.setxattr(data / "file", "user.kept", b"yes")
    os.utime(data / "file", ns=(1, 2))
    os.link(data / "file", data / "link")
    (data / "sub").mkdir(mode=0o700)
    (data / "sub/symlink").symlink_to("/etc/passwd")
    os.mkfifo(data / "sub/fifo")
    os.mknod(data / "sub/null", 0o20666, os.makedev(1, 3))
    with open(data / "sparse", "wb") as file:
        file.truncate(1 << 30)
    os.chown(data, 7, 8)
    data.chmod(0o1770)
    return root / "image"


@pytest.fixture
def volume(root):
    path = root / "volume"
    path.mkdir()
    return path


def test_contents_owners_modes_xattrs_links_and_holes_are_copied(image, volume, opened):
    assert copy_up(opened(image), "/srv/data", opened(volume))
    file = (volume / "file").stat()
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode), file.st_mtime_ns) == (5, 6, 0o4750, 2)
    assert os.getxattr(volume / "file", "user.kept") == b"yes"
    assert (volume / "link").stat().st_ino == file.st_ino
    assert os.readlink(volume / "sub/symlink") == "/etc/passwd"
    assert stat.S_ISFIFO((volume / "sub/fifo").stat().st_mode)
    assert (volume / "sub/null").stat().st_rdev == os.makedev(1, 3)
    assert (volume / "sparse").stat().st_size == 1 << 30
    assert (volume / "sparse").stat().st_blocks == 0
    assert stat.S_IMODE((volume / "sub").stat().st_mode) == 0o700
    top = volume.stat()
    assert (top.st_uid, top.st_gid, stat.S_IMODE(top.st_mode)) == (7, 8, 0o1770)


def test_a_volume_that_holds_something_stays_as_it_is(image, volume, opened):
    (volume / "mine").touch()
    assert not copy_up(opened(image), "/srv/data", opened(volume))
    assert os.listdir(volume) == ["mine"]


def test_a_path_the_image_does_not_have_is_fine(image, volume, opened):
    assert not copy_up(opened(image), "/nowhere/at/all", opened(volume))


def test_a_file_is_no_source(image, volume, opened):
    with pytest.raises(InvalidParameter, match=r"^source /srv/data/file is not directory$"):
        copy_up(opened(image), "/srv/data/file", opened(volume))


def test_symlinks_of_the_image_lead_to_the_image(root, image, volume, opened):
    (root / "secret").mkdir()
    (root / "secret/key").touch()
    (image / "absolute").symlink_to("/srv/data/sub")
    (image / "climbing").symlink_to("../../../../../../../srv/data/sub")
    (image / "outside").symlink_to(root / "secret")
    assert not copy_up(opened(image), "/outside", opened(volume))
    assert copy_up(opened(image), "/climbing", opened(volume))
    assert sorted(os.listdir(volume)) == ["fifo", "null", "symlink"]
