"""proc_pid_mountinfo(5), understood."""

from wherry.linux.mountinfo import MountInfo, mount_above, read_mountinfo

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:21 / /a rw master:2 propagate_from:1 - tmpfs tmpfs rw
31 22 0:22 / /a\\040b rw - tmpfs tmpfs rw
32 30 0:23 / /a/over rw shared:3 - tmpfs tmpfs rw
33 32 0:24 / /a/over rw shared:4 - tmpfs tmpfs rw
"""


def test_a_path_is_on_the_nearest_mount_above_it():
    assert mount_above("/etc", TABLE) == MountInfo("/", ("shared:1",))
    assert mount_above("/a/x/y", TABLE) == MountInfo("/a", ("master:2", "propagate_from:1"))
    assert mount_above("/a b/c", TABLE) == MountInfo("/a b", ())
    assert mount_above("/abc", TABLE).place == "/"


def test_of_two_mounts_on_one_place_the_later_one_is_seen():
    assert mount_above("/a/over", TABLE) == MountInfo("/a/over", ("shared:4",))


def test_the_kernels_own_table_is_understood():
    assert mount_above("/proc/self", read_mountinfo()).place == "/proc"
