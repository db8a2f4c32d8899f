"""Mounts by descriptor, and files inside a root that a stranger filled."""

import errno
import os

import pytest

from wherry.linux import files, mount, xattr


@pytest.fixture
def root():
    fd = mount.detached("tmpfs", (("size", "1m"), ("mode", "755")))
    yield fd
    os.close(fd)


def shown(fd):
    path = os.readlink(f"/proc/self/fd/{fd}")
    os.close(fd)
    return path


def test_a_detached_mount_is_in_no_table_and_of_its_type(root):
    assert files.filesystem_type(root) == files.TMPFS_MAGIC
    files.make_directory_inside(root, "/a")
    assert os.listdir(f"/proc/self/fd/{root}") == ["a"]


def test_a_wrong_option_is_told_in_the_kernel_s_words():
    with pytest.raises(OSError, match="Unknown parameter 'frob'") as caught:
        mount.detached("tmpfs", (("frob", "x"),))
    assert caught.value.errno == errno.EINVAL


def test_an_error_names_call_and_subject(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"open_tree /nonexistent: no such file or directory"):
        mount.open_tree("/nonexistent")
    with pytest.raises(OSError, match="umount2"):
        mount.umount2(str(tmp_path))


def test_a_copy_can_be_read_only_while_its_source_is_not(root):
    copy = mount.open_tree("", dir_fd=root)
    mount.mount_setattr("", dir_fd=copy, attributes=mount.MOUNT_ATTR_RDONLY)
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir("x", dir_fd=copy)
    os.mkdir("x", dir_fd=root)
    os.close(copy)


@pytest.mark.parametrize(
    ("link", "path", "found"),
    [
        ("/etc", "/link/x/y", "/etc/x/y"),
        ("../../../..", "/link/x", "/x"),
        ("deep/er", "/link/x", "/deep/er/x"),
        ("../link2", "/link/x", "/target/x"),
    ],
)
def test_directories_are_made_where_a_chrooted_process_would_make_them(root, link, path, found):
    os.symlink(link, "link", dir_fd=root)
    os.symlink("/target", "link2", dir_fd=root)
    assert shown(files.make_directory_inside(root, path)) == found


def test_files_are_made_inside(root):
    os.symlink("/elsewhere/file", "link", dir_fd=root)
    assert shown(files.make_file_inside(root, "/link")) == "/elsewhere/file"
    assert shown(files.make_file_inside(root, "/link")) == "/elsewhere/file"


def test_a_loop_of_symlinks_ends_in_an_error(root):
    os.symlink("two", "one", dir_fd=root)
    os.symlink("one", "two", dir_fd=root)
    for make in (files.make_file_inside, files.make_directory_inside):
        with pytest.raises(OSError, match=r"symbolic links|symlinks"):
            make(root, "/one/x")


def test_magic_links_and_when_asked_all_links_are_refused(root):
    os.symlink("/", "link", dir_fd=root)
    with pytest.raises(OSError) as caught:
        files.open_inside(root, "link", symlinks=False)
    assert caught.value.errno == errno.ELOOP
    slash = os.open("/", os.O_PATH)
    with pytest.raises(OSError) as caught:
        files.open_inside(slash, "/proc/self/exe")
    assert caught.value.errno == errno.ELOOP
    os.close(slash)


def test_an_owner_is_changed_by_a_descriptor_that_is_only_a_path(root):
    fd = files.make_file_inside(root, "/file")
    files.change_owner(fd, 3, 4)
    assert (os.fstat(fd).st_uid, os.fstat(fd).st_gid) == (3, 4)
    os.close(fd)


def test_attributes_of_a_symlink_are_not_its_target_s(root):
    files.make_file_inside(root, "/file")
    os.symlink("file", "link", dir_fd=root)
    xattr.write_at(root, b"file", "trusted.one", b"1")
    xattr.write_at(root, b"link", "trusted.two", b"2")
    assert xattr.list_at(root, b"link") == ["trusted.two"]
    assert xattr.read_at(root, b"file", "trusted.one") == b"1"
    xattr.remove_at(root, b"file", "trusted.one")
    assert xattr.list_at(root, b"file") == []
    with pytest.raises(ValueError, match="not the name of a directory entry"):
        xattr.list_at(root, b"../x")
