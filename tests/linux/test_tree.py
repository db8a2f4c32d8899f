"""Trees by descriptor: removed however deep, copied with everything, measured as dockerd measures."""

import os
import socket
import stat
from pathlib import Path

import pytest

from wherry.linux import tree


@pytest.fixture
def top(tmp_path):
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def _nest(directory, levels):
    """Deeper than any path can name."""
    here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_a_tree_deeper_than_any_path_is_removed(tmp_path, top):
    (tmp_path / "deep").mkdir()
    _nest(tmp_path / "deep", 5000)
    tree.remove(top, "deep")
    assert os.listdir(tmp_path) == []


def test_removing_follows_no_symlink_and_forgives_absence(tmp_path, top):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to("kept")
    for name in ("gone", "link", "never-there"):
        tree.remove(top, name)
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept/file").exists()


def test_a_directory_nobody_may_enter_is_removed(tmp_path, top):
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/file").touch()
    (tmp_path / "closed").chmod(0)
    tree.remove(top, "closed")
    assert os.listdir(tmp_path) == []


def test_hard_links_are_measured_once_and_directories_weigh_nothing(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_bytes(b"x" * 100)
    os.link(tmp_path / "d/a", tmp_path / "b")
    (tmp_path / "s").symlink_to("12345")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert tree.measure(fd) == (105, 3)
    finally:
        os.close(fd)


def test_a_walk_goes_by_the_bytes_of_names_and_never_through_symlinks(tmp_path):
    for name in (b"b", b"a", b"\xff", b"a/x", b"a.b"):
        path = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(path)
    (tmp_path / "link").symlink_to("/")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert [path for path, _ in tree.walk(fd)] == ["a", "a/x", "a.b", "b", "link", "\udcff"]
    finally:
        os.close(fd)


def _copied(source, target):
    descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
    try:
        tree.copy(*descriptors)
    finally:
        for fd in descriptors:
            os.close(fd)


@pytest.fixture
def pair(tmp_path):
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    return tmp_path / "source", tmp_path / "target"


def test_a_copy_keeps_everything(pair):
    source, target = pair
    (source / "d").mkdir(mode=0o2711)
    (source / "d/file").write_bytes(b"data")
    (source / "d/file").chmod(0o4755)
    os.chown(source / "d/file", 5, 6)
    (source / "d/file").chmod(0o4755)
    os.link(source / "d/file", source / "link")
    os.setxattr(source / "d/file", "user.x", b"1")
    (source / "s").symlink_to("nowhere")
    os.lchown(source / "s", 7, 8)
    os.utime(source / "d", ns=(1, 2))
    os.chown(source, 9, 9)
    _copied(source, target)
    status = (target / "d/file").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o4755, 5, 6)
    assert status.st_ino == (target / "link").stat().st_ino
    assert os.getxattr(target / "link", "user.x") == b"1"
    assert (target / "s").lstat().st_uid == 7
    assert (target / "d").stat().st_mtime_ns == 2
    assert stat.S_IMODE((target / "d").stat().st_mode) == (source / "d").stat().st_mode & 0o7777
    assert target.stat().st_uid == 9


def test_a_copy_keeps_holes(pair):
    source, target = pair
    with open(source / "sparse", "wb") as file:
        for offset in (0, 5 << 20, 50 << 20):
            file.seek(offset)
            file.write(b"data" * 1000)
        file.truncate(100 << 20)
    _copied(source, target)
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "sparse").stat().st_blocks * 512 < 1 << 20


def test_a_copy_leaves_out_sockets_and_overlay_marks(pair):
    source, target = pair
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
    (source / "d").mkdir()
    os.setxattr(source / "d", "trusted.overlay.opaque", b"y")
    _copied(source, target)
    assert os.listdir(target) == ["d"]
    assert os.listxattr(target / "d") == []


def test_no_descriptor_is_left(pair):
    source, target = pair
    (source / "d").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    _copied(source, target)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
