"""Users and groups of an image that may lie."""

import os

import pytest

from wherry.model.errors import InvalidParameter
from wherry.storage.lookup import FILE_BYTES_MAX, resolve_user

PASSWD = """root:x:0:0:root:/root:/bin/sh
1000:x:0:0:a trap:/trap:/bin/sh
daemon:x:1:1::/usr/sbin:/bin/false

name:x:1001:1002::/home/name:/bin/sh
broken:x:abc:0::/:/bin/sh
short:x:5
huge:x:4294967295:0::/:/bin/sh
"""
GROUP = """root:x:0:
# comment:x:7:name
daemon:x:1:
bin:x:2:root,daemon
own:x:1002:
extra:x:50:name,daemon
wheel:x:10:name
"""


@pytest.fixture
def image(root):
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    return root


@pytest.fixture
def rootfs(image):
    fd = os.open(image, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("user", "uid", "gids", "home"),
    [
        ("", 0, (0, 2), "/root"),
        ("root", 0, (0, 2), "/root"),
        ("name", 1001, (1002, 50, 10), "/home/name"),
        ("1001", 1001, (1002, 50, 10), "/home/name"),
        ("1000", 1000, (0,), "/"),
        ("1000:", 1000, (0,), "/"),
        ("1:1", 1, (1,), "/usr/sbin"),
        ("1", 1, (1, 2, 50), "/usr/sbin"),
        ("name:wheel", 1001, (10,), "/home/name"),
        ("name:77", 1001, (77,), "/home/name"),
        (":5", 0, (5,), "/root"),
        ("+7", 7, (0,), "/"),
        ("0042", 42, (0,), "/"),
        ("2147483647:2147483647", 2147483647, (2147483647,), "/"),
    ],
)
def test_a_user_is_found_as_docker_finds_it(rootfs, user, uid, gids, home):
    found = resolve_user(rootfs, user)
    assert (found.uid, found.gid, found.additional_gids, found.home) == (uid, gids[0], gids, home)


@pytest.mark.parametrize(
    "user", ["-1", "2147483648", "4294967295", "4294967296", "9" * 5000, "1:-1", "huge", "1:4294967296"]
)
def test_ids_out_of_range_are_refused(rootfs, user):
    with pytest.raises(InvalidParameter, match="uids and gids must be in range 0-2147483647"):
        resolve_user(rootfs, user)


@pytest.mark.parametrize("user", ["nobody", "0x0", "broken", "short", "1e3", "٣", "name ", "- 1"])
def test_unknown_users_are_named(rootfs, user):
    with pytest.raises(InvalidParameter) as caught:
        resolve_user(rootfs, user)
    assert str(caught.value) == f"unable to find user {user}: no matching entries in passwd file"


def test_unknown_groups_are_named(rootfs):
    for call in (lambda: resolve_user(rootfs, "name:nogroup"), lambda: resolve_user(rootfs, "0", ["nogroup"])):
        with pytest.raises(
            InvalidParameter, match=r"^unable to find group nogroup: no matching entries in group file$"
        ):
            call()


def test_further_groups_come_last_and_once(rootfs):
    assert resolve_user(rootfs, "name", ["wheel", "99", "daemon"]).additional_gids == (1002, 50, 10, 99, 1)


def test_without_files_numbers_are_enough(root):
    fd = os.open(root, os.O_PATH)
    try:
        assert resolve_user(fd, "5:6").uid == 5
        assert resolve_user(fd, "").home == "/"
        with pytest.raises(InvalidParameter, match="unable to find user root"):
            resolve_user(fd, "root")
    finally:
        os.close(fd)


def test_symlinks_stay_inside_the_image(image, rootfs):
    (image / "etc/passwd").rename(image / "real")
    (image / "etc/passwd").symlink_to("/real")
    assert resolve_user(rootfs, "name").uid == 1001
    (image / "etc/passwd").unlink()
    (image / "etc/passwd").symlink_to("../../../../../etc/passwd")
    with pytest.raises(InvalidParameter, match=r"open /etc/passwd: too many levels"):
        resolve_user(rootfs, "name")


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_huge_sparse_files_are_refused_and_not_read(image, rootfs, name):
    with open(image / "etc" / name, "wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(InvalidParameter, match=f"/etc/{name} is too large: 2147483648 bytes, at most {FILE_BYTES_MAX}"):
        resolve_user(rootfs, "name")


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_fifos_and_devices_are_refused_and_not_opened(image, rootfs, name):
    path = image / "etc" / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InvalidParameter, match=f"/etc/{name} is not a regular file"):
        resolve_user(rootfs, "name")
    path.unlink()
    (image / "dev").mkdir()
    os.mknod(image / "dev/zero", 0o20666, os.makedev(1, 5))
    path.symlink_to("/dev/zero")
    with pytest.raises(InvalidParameter, match=f"/etc/{name} is not a regular file"):
        resolve_user(rootfs, "name")
