"""What a container shall see at /sys/fs/cgroup, for several hosts."""

from wherry.libcontainer.cgroups.mounts import MountPlan, Shown, mount_plan
from wherry.linux.cgroup import Hierarchy


def test_v2_is_one_mount():
    assert mount_plan((Hierarchy(2, "/sys/fs/cgroup", ()),)) == MountPlan(version=2)


def test_v2_with_systemds_named_tree_is_v2():
    trees = (Hierarchy(1, "/sys/fs/cgroup/systemd", ("name=systemd",)), Hierarchy(2, "/sys/fs/cgroup/unified", ()))
    assert mount_plan(trees) == MountPlan(version=2)


def test_v1_is_a_directory_for_each_tree_with_links_to_shared_ones():
    trees = (
        Hierarchy(1, "/sys/fs/cgroup/cpu,cpuacct", ("cpu", "cpuacct")),
        Hierarchy(1, "/sys/fs/cgroup/memory", ("memory",)),
        Hierarchy(1, "/sys/fs/cgroup/systemd", ("name=systemd",)),
        Hierarchy(2, "/sys/fs/cgroup/unified", ()),
    )
    assert mount_plan(trees) == MountPlan(
        version=1,
        shown=(
            Shown("cpu,cpuacct", "cpu,cpuacct", "cpu"),
            Shown("memory", "memory", "memory"),
            Shown("systemd", "name=systemd", "name=systemd"),
        ),
        links=(("cpu", "cpu,cpuacct"), ("cpuacct", "cpu,cpuacct")),
    )
