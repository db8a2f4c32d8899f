"""What is mounted, from mountinfo as several hosts show it, and from this one."""

from wherry.linux import cgroup
from wherry.linux.cgroup import Hierarchy

SYSTEMD_V1 = """\
25 30 0:23 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:24 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
27 25 0:25 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
28 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
29 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset,clone_children,release_agent=/x,y
31 1 0:27 / /other\\040place rw - cgroup cgroup rw,cpuset
"""


def test_a_hybrid_hosts_trees_are_found_with_their_controllers():
    assert cgroup.parse_mountinfo(SYSTEMD_V1)[:3] == (
        Hierarchy(2, "/sys/fs/cgroup/unified", ()),
        Hierarchy(1, "/sys/fs/cgroup/systemd", ("name=systemd",)),
        Hierarchy(1, "/sys/fs/cgroup/cpu,cpuacct", ("cpu", "cpuacct")),
    )


def test_spaces_in_a_path_are_unescaped():
    (tree,) = cgroup.parse_mountinfo(SYSTEMD_V1.splitlines()[-1])
    assert tree == Hierarchy(1, "/other place", ("cpuset",))


def test_a_tree_mounted_twice_counts_once():
    line = "26 25 0:24 / {} rw - cgroup2 cgroup2 rw\n"
    assert [tree.directory for tree in cgroup.parse_mountinfo(line.format("/a") + line.format("/b"))] == ["/a"]


def test_this_host_has_a_tree():
    assert cgroup.hierarchies()


def test_keyed_files_are_read_line_by_line():
    assert cgroup.parse_keyed("oom_kill 3\nunder_oom 0\nsome avg10=0.00\n\n") == {"oom_kill": 3, "under_oom": 0}
