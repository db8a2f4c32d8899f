"""Limits as data: which file gets which text, in which order, for both versions; no cgroup is needed."""

import pytest

from wherry.libcontainer.cgroups.errors import LimitError
from wherry.libcontainer.cgroups.limits import Write
from wherry.libcontainer.cgroups.limits_v1 import as_v1
from wherry.libcontainer.cgroups.limits_v2 import as_v2, cpu_weight, io_weight
from wherry.oci.runtime import (
    BlockIo,
    Cpu,
    HugepageLimit,
    InterfacePriority,
    Memory,
    NetworkResources,
    Pids,
    Rdma,
    Resources,
    ThrottleDevice,
    WeightDevice,
)

MIB = 1 << 20


def files(writes):
    return [(write.file, write.text) for write in writes]


def v1(**what):
    return files(as_v1(Resources(**what)))


def v2(**what):
    return files(as_v2(Resources(**what)))


def test_nothing_said_writes_nothing():
    empty = {"memory": Memory(), "cpu": Cpu(), "block_io": BlockIo()}
    assert v1(**empty) == v2(**empty) == v1() == v2() == []


@pytest.mark.parametrize(
    ("memory", "first", "second"),
    [
        (
            Memory(limit=64 * MIB, swap=128 * MIB, reservation=MIB),
            [
                ("memory.limit_in_bytes", str(64 * MIB)),
                ("memory.memsw.limit_in_bytes", str(128 * MIB)),
                ("memory.soft_limit_in_bytes", str(MIB)),
            ],
            [
                ("memory.swap.max", str(64 * MIB)),
                ("memory.max", str(64 * MIB)),
                ("memory.low", str(MIB)),
            ],
        ),
        (Memory(limit=MIB), [("memory.limit_in_bytes", str(MIB))], [("memory.max", str(MIB))]),
        (
            Memory(limit=MIB, swap=MIB),
            [("memory.limit_in_bytes", str(MIB)), ("memory.memsw.limit_in_bytes", str(MIB))],
            [("memory.swap.max", "0"), ("memory.max", str(MIB))],
        ),
        (
            Memory(limit=MIB, swap=-1),
            [("memory.limit_in_bytes", str(MIB)), ("memory.memsw.limit_in_bytes", "-1")],
            [("memory.swap.max", "max"), ("memory.max", str(MIB))],
        ),
        (
            Memory(limit=-1),
            [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")],
            [("memory.swap.max", "max"), ("memory.max", "max")],
        ),
    ],
)
def test_memory_and_swap_mean_the_same_in_both(memory, first, second):
    assert v1(memory=memory) == first
    assert v2(memory=memory) == second


def test_a_kernel_without_swap_needs_no_file_to_have_none():
    assert as_v2(Resources(memory=Memory(limit=MIB, swap=MIB)))[0].optional
    assert not as_v2(Resources(memory=Memory(limit=MIB, swap=2 * MIB)))[0].optional


def test_v1_alone_has_swappiness_oom_and_tcp():
    memory = Memory(swappiness=10, disable_oom_killer=True, kernel_tcp=MIB)
    assert v1(memory=memory) == [
        ("memory.kmem.tcp.limit_in_bytes", str(MIB)),
        ("memory.oom_control", "1"),
        ("memory.swappiness", "10"),
    ]
    assert v1(memory=Memory(swappiness=-1)) == []
    assert v1(memory=Memory(disable_oom_killer=False)) == [("memory.oom_control", "0")]
    assert v2(memory=Memory(swappiness=-1, disable_oom_killer=False)) == []


def test_cpu_time_is_a_share_a_quota_and_a_burst():
    cpu = Cpu(shares=512, quota=50_000, period=100_000, burst=1000, cpus="0-1", mems="0")
    assert v1(cpu=cpu) == [
        ("cpuset.cpus", "0-1"),
        ("cpuset.mems", "0"),
        ("cpu.shares", "512"),
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "50000"),
        ("cpu.cfs_burst_us", "1000"),
    ]
    assert v2(cpu=cpu) == [
        ("cpuset.cpus", "0-1"),
        ("cpuset.mems", "0"),
        ("cpu.weight", "59"),
        ("cpu.max", "50000 100000"),
        ("cpu.max.burst", "1000"),
    ]


@pytest.mark.parametrize(
    ("cpu", "text"),
    [
        (Cpu(quota=-1), "max"),
        (Cpu(quota=-1, period=50_000), "max 50000"),
        (Cpu(period=50_000), "max 50000"),
        (Cpu(quota=20_000), "20000"),
    ],
)
def test_a_quota_of_minus_one_is_max(cpu, text):
    assert v2(cpu=cpu) == [("cpu.max", text)]


def test_an_idle_group_has_no_weight():
    assert v2(cpu=Cpu(idle=1, shares=512)) == [("cpu.idle", "1")]
    assert v1(cpu=Cpu(idle=1)) == [("cpu.idle", "1")]


def test_realtime_is_for_v1():
    realtime = Cpu(realtime_period=1_000_000, realtime_runtime=950_000)
    assert v1(cpu=realtime) == [("cpu.rt_period_us", "1000000"), ("cpu.rt_runtime_us", "950000")]


@pytest.mark.parametrize(
    ("shares", "weight"),
    [
        (0, 0),
        (1, 1),
        (2, 1),
        (128, 21),
        (512, 59),
        (1024, 100),
        (2048, 174),
        (262143, 10000),
        (262144, 10000),
        (1 << 40, 10000),
    ],
)
def test_shares_become_weights_on_runcs_curve(shares, weight):
    assert cpu_weight(shares) == weight


def test_weights_grow_with_shares():
    weights = [cpu_weight(shares) for shares in range(1, 262145, 77)]
    assert weights == sorted(weights)


def test_block_weights_span_the_whole_range():
    assert [io_weight(weight) for weight in (0, 10, 500, 1000)] == [0, 1, 4950, 10000]


def test_pids_without_a_limit_are_max():
    assert v1(pids=Pids(limit=50)) == v2(pids=Pids(limit=50)) == [("pids.max", "50")]
    assert v1(pids=Pids(limit=-1)) == v2(pids=Pids(limit=0)) == [("pids.max", "max")]


def test_block_devices_are_weighed_and_throttled():
    device = {"major": 8, "minor": 16}
    io = BlockIo(
        weight=300,
        weight_device=(WeightDevice(**device, weight=500),),
        throttle_read_bps_device=(ThrottleDevice(**device, rate=1000),),
        throttle_write_iops_device=(ThrottleDevice(**device, rate=0),),
    )
    first, second = as_v1(Resources(block_io=io)), as_v2(Resources(block_io=io))
    assert files(first) == [
        ("blkio.weight", "300"),
        ("blkio.weight_device", "8:16 500"),
        ("blkio.throttle.read_bps_device", "8:16 1000"),
        ("blkio.throttle.write_iops_device", "8:16 0"),
    ]
    assert first[0].instead == Write("blkio", "blkio.bfq.weight", "300")
    assert files(second) == [
        ("io.bfq.weight", "300"),
        ("io.bfq.weight", "8:16 500"),
        ("io.max", "8:16 rbps=1000"),
        ("io.max", "8:16 wiops=max"),
    ]
    assert second[0].instead == Write("io", "io.weight", str(io_weight(300)))


def test_huge_pages_limit_their_reservations_where_these_are_counted():
    huge = (HugepageLimit(page_size="2MB", limit=4 * MIB),)
    assert v1(hugepage_limits=huge)[0] == ("hugetlb.2MB.limit_in_bytes", str(4 * MIB))
    assert v2(hugepage_limits=huge)[0] == ("hugetlb.2MB.max", str(4 * MIB))
    assert [write.optional for write in as_v2(Resources(hugepage_limits=huge))] == [False, True]


def test_network_classes_are_for_v1():
    network = NetworkResources(class_id=7, priorities=(InterfacePriority(name="eth0", priority=5),))
    assert v1(network=network) == [("net_cls.classid", "7"), ("net_prio.ifpriomap", "eth0 5")]


def test_rdma_limits_are_one_line_for_each_device():
    rdma = {"mlx4_0": Rdma(hca_handles=2, hca_objects=2000), "mlx4_1": Rdma(hca_handles=3)}
    assert v1(rdma=rdma) == v2(rdma=rdma)
    assert v2(rdma=rdma) == [
        ("rdma.max", "mlx4_0 hca_handle=2 hca_object=2000"),
        ("rdma.max", "mlx4_1 hca_handle=3"),
    ]


def test_unified_files_are_written_line_by_line_to_their_controller():
    writes = as_v2(Resources(unified={"io.max": "8:0 rbps=1\n8:16 rbps=2\n", "memory.high": "1"}))
    assert [(write.controller, write.file, write.text) for write in writes] == [
        ("io", "io.max", "8:0 rbps=1"),
        ("io", "io.max", "8:16 rbps=2"),
        ("memory", "memory.high", "1"),
    ]


@pytest.mark.parametrize(
    ("convert", "resources", "words"),
    [
        (as_v1, Resources(cpu=Cpu(shares=1)), "the minimum allowed cpu-shares is 2"),
        (as_v1, Resources(cpu=Cpu(shares=262145)), "the maximum allowed cpu-shares is 262144"),
        (as_v1, Resources(memory=Memory(swappiness=101)), "invalid memory swappiness value: 101 (range is 0-100)"),
        (as_v1, Resources(memory=Memory(kernel=MIB)), "kernel memory limits are not supported"),
        (as_v1, Resources(unified={"memory.high": "1"}), "unified resources need cgroup v2"),
        (as_v2, Resources(memory=Memory(swap=MIB)), "unable to set swap limit without memory limit"),
        (as_v2, Resources(memory=Memory(limit=2 * MIB, swap=MIB)), "memory+swap limit should be >= memory limit"),
        (as_v2, Resources(memory=Memory(swappiness=10)), "memory swappiness needs cgroup v1"),
        (as_v2, Resources(memory=Memory(disable_oom_killer=True)), "the OOM killer cannot be disabled"),
        (as_v2, Resources(memory=Memory(kernel=MIB)), "kernel memory limits are not supported"),
        (as_v2, Resources(memory=Memory(kernel_tcp=MIB)), "kernel TCP memory"),
        (as_v2, Resources(cpu=Cpu(realtime_runtime=1)), "realtime cpu limits need cgroup v1"),
        (as_v2, Resources(block_io=BlockIo(leaf_weight=5)), "leaf weights"),
        (as_v2, Resources(network=NetworkResources(class_id=1)), "network classes and priorities need cgroup v1"),
        (as_v2, Resources(unified={"../memory.max": "1"}), "must be a file name (no slashes)"),
        (as_v2, Resources(unified={"..": "1"}), "must be a file name (no slashes)"),
    ],
)
def test_what_a_version_cannot_do_is_refused_by_name(convert, resources, words):
    with pytest.raises(LimitError) as caught:
        convert(resources)
    assert words in str(caught.value)
