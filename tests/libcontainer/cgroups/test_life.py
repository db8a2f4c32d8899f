"""Cgroups of this host, from making to removing: limits are obeyed, processes frozen, killed, counted."""

import contextlib
import errno
import os
import select
import signal
from pathlib import Path

import pytest

from wherry.libcontainer import cgroups
from wherry.libcontainer.cgroups import CgroupError, LimitError, stats
from wherry.linux import bpf
from wherry.linux.process import clone3
from wherry.oci.runtime import Cpu, DeviceRule, HugepageLimit, Memory, Pids, Resources

MIB = 1 << 20
CLONE_INTO_CGROUP = 0x200000000

on_v1 = pytest.mark.skipif(cgroups.version() != 1, reason="this host has cgroup v2")
on_v2 = pytest.mark.skipif(cgroups.version() != 2, reason="this host has cgroup v1")
needs_memory = pytest.mark.skipif("memory" not in cgroups.controllers(), reason="no memory controller")


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def membership(pid):
    return {line.split(":")[1]: line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}


def test_it_is_made_in_every_tree_and_gone_from_every_tree(make, parent):
    cgroup = make()
    directories = set(cgroup.directories.values())
    assert all(directory.endswith(f"/{parent}/one") for directory in directories)
    cgroup.remove()
    assert not any(os.path.exists(directory) for directory in directories)


def test_a_process_joins_every_tree(make, run, parent):
    cgroup = make()
    pid = run(cgroup)
    if cgroup.version == 1:
        assert {membership(pid)[names] for names in membership(pid) if names} == {f"/{parent}/one"}
    else:
        assert membership(pid) == {"": f"/{parent}/one"}
    assert cgroup.pids() == [pid]


@pytest.mark.alone
def test_a_process_is_born_in_the_v2_tree(make, parent):
    cgroup = make()
    if cgroup.clone_fd is None:
        pytest.skip("no cgroup v2 tree is mounted")
    pid, pidfd = clone3(CLONE_INTO_CGROUP, cgroup_fd=cgroup.clone_fd)
    if pid == 0:
        signal.pause()
        os._exit(0)
    os.close(pidfd)
    try:
        assert membership(pid)[""] == f"/{parent}/one"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_nested_paths_are_made_level_by_level(make, run):
    assert make("a/b/c").pids() == []
    cgroup = make("a/b/d")
    pid = run(cgroup)
    assert cgroup.pids() == [pid]


@pytest.mark.parametrize("path", ["", "/", "//", "/..", "/x/.."])
def test_the_root_is_not_a_containers_cgroup(path):
    with pytest.raises(LimitError, match="does not name a cgroup below the root"):
        cgroups.create(path, "")


def test_a_path_leads_nowhere_above_the_root(make, parent):
    assert make("../../../" + parent + "/two").path == f"{parent}/two"


def test_a_cgroup_with_processes_is_not_taken(make, run, parent):
    cgroup = make()
    run(cgroup)
    with pytest.raises(CgroupError, match="container's cgroup is not empty: 1 process") as caught:
        cgroups.create(f"/{parent}/one", "one")
    assert caught.value.errno == errno.EBUSY
    assert all(os.path.isdir(directory) for directory in cgroup.directories.values())


def test_it_is_found_again_by_its_path(make, run, parent):
    pid = run(make())
    again = cgroups.open_existing(f"/{parent}/one")
    assert again.pids() == [pid]
    again.close()
    with pytest.raises(FileNotFoundError):
        cgroups.open_existing(f"/{parent}/other")


@needs_memory
def test_limits_are_what_the_kernel_shows(make):
    cgroup = make()
    cgroup.apply(
        Resources(
            memory=Memory(limit=64 * MIB, swap=64 * MIB),
            cpu=Cpu(shares=512, quota=50_000, period=100_000, cpus="0", mems="0"),
            pids=Pids(limit=50),
        )
    )
    used = stats.read(cgroup)
    assert (used.memory.limit_bytes, used.pids.limit) == (64 * MIB, 50)
    assert cgroup.read("cpuset", "cpuset.cpus").strip() == "0"
    share = ("cpu.shares", "512") if cgroup.version == 1 else ("cpu.weight", "59")
    assert cgroup.read("cpu", share[0]).strip() == share[1]


@needs_memory
@pytest.mark.parametrize(("first", "second"), [(64, 256), (256, 64)])
def test_memory_and_swap_can_be_raised_and_lowered_together(make, first, second):
    cgroup = make()
    for mib in (first, second):
        cgroup.update(Resources(memory=Memory(limit=mib * MIB, swap=(mib + 1) * MIB)))
        assert stats.read(cgroup).memory.limit_bytes == mib * MIB


def test_a_period_can_be_shortened_with_its_quota(make):
    cgroup = make("outer")
    cgroup.update(Resources(cpu=Cpu(quota=100_000, period=100_000)))
    inner = make("outer/inner")
    for quota, period in ((90_000, 100_000), (9000, 10_000), (90_000, 100_000)):
        inner.update(Resources(cpu=Cpu(quota=quota, period=period)))


def test_an_update_leaves_what_it_does_not_say(make):
    cgroup = make()
    cgroup.apply(Resources(pids=Pids(limit=50)))
    cgroup.update(Resources(cpu=Cpu(shares=2)))
    assert stats.read(cgroup).pids.limit == 50


def test_a_value_that_the_kernel_refuses_is_named_with_its_file(make, parent):
    with pytest.raises(CgroupError) as caught:
        make().apply(Resources(cpu=Cpu(cpus="9999")))
    assert str(caught.value).startswith(f"write 9999 to cpuset.cpus of cgroup {parent}/one: ")


def test_a_controller_is_missed_only_when_its_limit_is_asked_for(make):
    if "hugetlb" in cgroups.controllers():
        pytest.skip("this host has the hugetlb controller")
    cgroup = make()
    cgroup.apply(Resources())
    with pytest.raises(CgroupError, match="the cgroup controller hugetlb is not available on this host"):
        cgroup.apply(Resources(hugepage_limits=(HugepageLimit(page_size="2MB", limit=0),)))


@needs_memory
def test_a_limit_below_the_usage_can_be_refused_beforehand(make, run):
    cgroup = make()
    held = []
    ready_read, ready_write = os.pipe()

    def hold():
        held.append(b"x" * (32 * MIB))
        os.write(ready_write, b"x")
        signal.pause()

    run(cgroup, hold)
    os.read(ready_read, 1)
    os.close(ready_read)
    os.close(ready_write)
    with pytest.raises(CgroupError, match="rejecting memory limit 1048576 < usage"):
        cgroup.update(Resources(memory=Memory(limit=MIB, check_before_update=True)))


def fork_until_refused(answer):
    children = []
    with contextlib.suppress(BlockingIOError):
        while len(children) < 100:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    os.write(answer, bytes([len(children)]))
    signal.pause()


def test_pids_are_limited_and_all_of_them_killed(make, run):
    cgroup = make()
    cgroup.apply(Resources(pids=Pids(limit=10)))
    read_end, write_end = os.pipe()
    run(cgroup, lambda: fork_until_refused(write_end))
    assert os.read(read_end, 1) == bytes([9])
    os.close(read_end)
    os.close(write_end)
    assert len(cgroup.pids()) == 10
    cgroup.kill()
    assert cgroup.wait_until_empty(10)


@pytest.fixture(params=["own version", "v2"])
def either(request):
    return request.getfixturevalue("make" if request.param == "own version" else "make_v2")


def test_a_frozen_group_stands_still_until_it_is_thawed(either, run):
    cgroup = either()
    pid = run(cgroup, lambda: [None for _ in iter(int, 1)])
    cgroup.freeze()
    assert cgroup.is_frozen()
    before = Path(f"/proc/{pid}/stat").read_text().split()[13:15]
    cgroup.freeze()
    assert Path(f"/proc/{pid}/stat").read_text().split()[13:15] == before
    cgroup.thaw()
    assert not cgroup.is_frozen()


def test_a_frozen_group_can_be_killed(either, run):
    cgroup = either()
    pid = run(cgroup)
    cgroup.freeze()
    cgroup.kill()
    assert cgroup.wait_until_empty(10)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def test_an_empty_group_freezes_and_dies_too(either):
    cgroup = either()
    cgroup.freeze()
    cgroup.thaw()
    cgroup.kill()
    assert cgroup.wait_until_empty(0)


def bomb():
    """Forks all the time, each child doing the same; bounded by the pids controller or by being killed."""
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def test_a_fork_bomb_is_killed_whole(make, run):
    cgroup = make()
    cgroup.apply(Resources(pids=Pids(limit=30)))
    run(cgroup, bomb)
    cgroup.kill()
    assert cgroup.wait_until_empty(10)
    cgroup.remove()


def test_groups_that_a_container_made_go_with_it(either, run):
    cgroup = either()
    for directory in set(cgroup.directories.values()):
        os.makedirs(f"{directory}/inner/most")
    inner = cgroup.__class__(f"{cgroup.path}/inner", {c: f"{d}/inner" for c, d in cgroup.directories.items()})
    if cgroup.version == 1:
        for directory in inner.directories.values():
            for name in ("cpuset.cpus", "cpuset.mems"):
                with contextlib.suppress(OSError):
                    Path(directory, name).write_text(Path(directory, "..", name).read_text())
    pid = run(inner)
    inner.close()
    assert cgroup.pids() == [pid]
    cgroup.kill()
    cgroup.remove()
    assert not any(os.path.exists(directory) for directory in cgroup.directories.values())


def test_removing_waits_for_the_dying_and_gives_up_on_the_living(either, run):
    cgroup = either()
    pid = run(cgroup)
    with pytest.raises(CgroupError, match="it still holds processes") as caught:
        cgroup.remove(timeout_seconds=0.05)
    assert caught.value.errno == errno.EBUSY
    assert os.path.exists(f"/proc/{pid}")
    cgroup.kill()
    cgroup.remove()


def test_signals_reach_everybody_in_it(either, run):
    cgroup = either()
    pids = [run(cgroup), run(cgroup)]
    cgroup.signal_all(signal.SIGTERM)
    assert [os.WTERMSIG(os.waitpid(pid, 0)[1]) for pid in pids] == [signal.SIGTERM] * 2


@needs_memory
def test_running_out_of_memory_is_told_and_remembered(make, run):
    cgroup = make()
    cgroup.apply(Resources(memory=Memory(limit=16 * MIB, swap=16 * MIB)))
    assert not cgroup.oom_killed()
    told = cgroup.oom_fd()
    try:
        pid = run(cgroup, lambda: b"x" * (64 * MIB))
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        news = select.poll()
        news.register(told, select.POLLIN if cgroup.version == 1 else select.POLLPRI)
        assert news.poll(10_000)
        assert os.read(told, 4096)
    finally:
        os.close(told)
    assert cgroup.oom_killed()


@needs_memory
def test_what_was_used_is_counted(make, run):
    cgroup = make()
    pid = run(cgroup, lambda: sum(range(3_000_000)))
    os.waitpid(pid, 0)
    used = stats.read(cgroup)
    assert used.cpu.usage_ns > 1_000_000
    assert used.memory.usage_bytes >= 0
    assert used.memory.limit_bytes is None
    assert used.memory.details
    assert (used.pids.current, used.pids.limit) == (0, None)


def test_nothing_is_left_when_making_fails_half_way(parent, monkeypatch):
    from wherry.libcontainer.cgroups import paths

    real, made = paths.make, []

    def fail_late(directory):
        if len(made) == 5:
            raise CgroupError(errno.ENOSPC, "make cgroup: no space left on device")
        made.append(directory)
        return real(directory)

    monkeypatch.setattr(paths, "make", fail_late)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CgroupError):
        cgroups.create(f"/{parent}/a/b/c/d/e/f", "f")
    assert made
    assert not any(os.path.exists(directory) for directory in made)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_closing_lets_go_of_every_descriptor(parent, make):
    make()
    before = len(os.listdir("/proc/self/fd"))
    cgroups.open_existing(f"/{parent}/one").close()
    assert len(os.listdir("/proc/self/fd")) == before


@on_v1
def test_cpusets_are_filled_on_every_level(make, parent):
    make("a/b")
    directory = next(d for d in make("a/c").directories.values() if "cpuset" in d)
    assert Path(directory, "cpuset.mems").read_text().strip()
    assert Path(directory, "../cpuset.cpus").read_text().strip()


@on_v2
def test_controllers_are_enabled_on_every_level(make):
    assert set(cgroups.controllers()) <= set(make("a/b").directories)


def only(cgroup, *controllers):
    """The same cgroup as a host with fewer controllers would have it."""
    return type(cgroup)(cgroup.path, {name: cgroup.directories[name] for name in controllers})


@on_v1
def test_without_a_freezer_everything_is_still_killed(make, run):
    cgroup = only(make(), "cpu", "pids")
    try:
        run(cgroup, lambda: [os.fork() for _ in range(3)] and signal.pause())
        cgroup.kill()
        assert cgroup.wait_until_empty(10)
    finally:
        cgroup.close()


@on_v1
def test_devices_are_guarded_by_the_v2_tree_or_the_lack_is_told(make):
    whole = make()
    unguarded = only(whole, "pids")
    with pytest.raises(CgroupError, match="controller devices is not available on this host: cannot guard the devices"):
        unguarded.apply(Resources())
    unguarded.apply(Resources(devices=(DeviceRule(allow=True),)))
    unguarded.close()
    if "" not in whole.directories:
        pytest.skip("no cgroup v2 tree is mounted")
    hybrid = only(whole, "pids", "")
    hybrid.apply(Resources())
    assert len(bpf.query(hybrid.clone_fd, bpf.ATTACH_CGROUP_DEVICE).programs) == 1
    hybrid.close()


@on_v1
@needs_memory
def test_memory_that_cannot_be_taken_back_is_told_with_what_is_in_use(make, run):
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        pytest.skip("there is swap for it")
    cgroup = make()
    held = []
    ready_read, ready_write = os.pipe()

    def hold():
        held.append(b"x" * (32 * MIB))
        os.write(ready_write, b"x")
        signal.pause()

    run(cgroup, hold)
    os.read(ready_read, 1)
    os.close(ready_read)
    os.close(ready_write)
    with pytest.raises(
        CgroupError, match=r"^unable to set memory limit to 4194304 \(current usage: 3\d{7}, peak usage"
    ):
        cgroup.update(Resources(memory=Memory(limit=4 * MIB)))


@on_v2
def test_a_controller_that_a_busy_parent_keeps_is_named_with_the_parent(make, run):
    outer = make("outer")
    run(outer)
    with pytest.raises(CgroupError, match=r"the cgroup controller memory cannot be enabled below .*/outer"):
        make("outer/inner").update(Resources(memory=Memory(limit=MIB)))


def test_a_limit_that_cannot_be_is_an_oserror_too():
    with pytest.raises(OSError, match="does not name a cgroup") as caught:
        cgroups.create("/", "")
    assert caught.value.errno == errno.EINVAL
