"""Limits: what never works is refused, what the kernel cannot do is discarded with dockerd's warnings."""

import pytest

from wherry.engine.abilities import Abilities, parse_numbers
from wherry.engine.request.resources import adapt
from wherry.model.config import HostConfig, ThrottleDevice, WeightDevice
from wherry.model.errors import InvalidParameter

ABLE = Abilities(cpus=frozenset((0, 1, 2, 5)), memory_nodes=frozenset((0,)))
UNABLE = Abilities(
    memory=False, swap=False, reservation=False, swappiness=False, oom_kill_disable=False, kernel_memory_tcp=False,
    shares=False, quota=False, realtime=False, cpusets=False, pids=False, io_weight=False, io_weight_device=False,
    io_throttles=False,
)  # fmt: skip
MIB = 1 << 20
UNMOUNTED = "or the cgroup is not mounted"

WRONG = [
    (HostConfig(memory=1024), "Minimum memory limit allowed is 6MB"),
    (HostConfig(memory=-5), "Minimum memory limit allowed is 6MB"),
    (HostConfig(memory=2**23, memory_swap=2**22), "Minimum memoryswap limit should be larger"),
    (HostConfig(memory_swap=2**23), "You should always set the Memory limit"),
    (HostConfig(memory_swappiness=101), "Invalid value: 101, valid memory swappiness range is 0-100"),
    (HostConfig(memory_reservation=5), "Minimum memory reservation allowed is 6MB"),
    (HostConfig(memory=2**23, memory_reservation=2**24), "can not be less than memory reservation limit"),
    (HostConfig(kernel_memory=5), "Minimum kernel memory limit allowed is 6MB"),
    (HostConfig(nano_cpus=1, cpu_quota=5000), "Nano CPUs and CPU Quota cannot both be set"),
    (HostConfig(nano_cpus=1, cpu_period=5000), "Nano CPUs and CPU Period cannot both be set"),
    (HostConfig(nano_cpus=10**15), "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"),
    (HostConfig(cpu_shares=-1), "invalid CPU shares (-1): value must be a positive integer"),
    (HostConfig(cpu_period=5), "CPU cfs period can not be less than 1ms"),
    (HostConfig(cpu_quota=5), "CPU cfs quota can not be less than 1ms"),
    (HostConfig(cpu_realtime_period=5, cpu_realtime_runtime=6), "real-time runtime cannot be higher than cpu real-"),
    (HostConfig(cpuset_cpus="3"), "Requested CPUs are not available - requested 3, available: 0-2,5"),
    (HostConfig(cpuset_cpus="x"), "Invalid value x for cpuset cpus: invalid format: x"),
    (HostConfig(cpuset_cpus=" 0"), "Invalid value  0 for cpuset cpus: invalid format:  0"),
    (HostConfig(cpuset_cpus="0-99999999999"), "cpuset cpus: value of out range, maximum is 8192"),
    (HostConfig(cpuset_mems="900"), "Requested memory nodes are not available - requested 900, available: 0"),
    (HostConfig(blkio_weight=5), "Range of blkio weight is from 10 to 1000"),
    (HostConfig(io_maximum_i_ops=5), "invalid option: QoS maximum IOPs configuration is not supported on linux"),
    (HostConfig(io_maximum_bandwidth=5), "QoS maximum bandwidth configuration is not supported on linux"),
]


@pytest.mark.parametrize(("said", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_nonsense_is_refused(said, words):
    with pytest.raises(InvalidParameter) as caught:
        adapt(said, ABLE)
    assert words in str(caught.value)


def test_what_the_kernel_has_stays_without_a_warning():
    said = HostConfig(
        memory=64 * MIB, memory_swap=-1, memory_reservation=32 * MIB, memory_swappiness=5, oom_kill_disable=True,
        kernel_memory_tcp=MIB, cpu_shares=5, cpu_period=5000, cpu_quota=2000, cpu_realtime_period=5, cpuset_cpus="0-1",
        cpuset_mems="0", pids_limit=3, blkio_weight=100, blkio_device_read_bps=(ThrottleDevice(path="/dev/x", rate=1),),
    )  # fmt: skip
    assert adapt(said, ABLE) == (said, ())


DISCARDED = [
    ({"memory": 64 * MIB}, f"memory limit capabilities {UNMOUNTED}. Limitation discarded."),
    ({"memory_swappiness": 5}, f"memory swappiness capabilities {UNMOUNTED}. Memory swappiness discarded."),
    ({"memory_reservation": 9 * MIB}, f"memory soft limit capabilities {UNMOUNTED}. Limitation discarded."),
    ({"kernel_memory": 9 * MIB}, f"kernel memory limit capabilities {UNMOUNTED}. Limitation discarded."),
    ({"kernel_memory_tcp": MIB}, f"kernel memory TCP limit capabilities {UNMOUNTED}. Limitation discarded."),
    ({"oom_kill_disable": True}, "OomKillDisable. OomKillDisable discarded."),
    ({"pids_limit": 5}, f"PIDs limit capabilities {UNMOUNTED}. PIDs limit discarded."),
    ({"cpu_shares": 5}, f"CPU shares {UNMOUNTED}. Shares discarded."),
    ({"cpu_period": 5000, "cpu_quota": 5000}, "CPU CFS scheduler. CPU period/quota discarded."),
    ({"cpuset_cpus": "0", "cpuset_mems": "0"}, f"cpuset {UNMOUNTED}. Cpuset discarded."),
    ({"blkio_weight": 300}, f"Block I/O weight {UNMOUNTED}. Weight discarded."),
    (
        {"blkio_weight_device": (WeightDevice(path="/dev/x", weight=5),)},
        f"Block I/O weight_device {UNMOUNTED}. Weight-device discarded.",
    ),
    (
        {"blkio_device_write_i_ops": (ThrottleDevice(path="/dev/x", rate=5),)},
        f"IOPS Block write limit {UNMOUNTED}. Block I/O IOPS write limit discarded.",
    ),
]


@pytest.mark.parametrize(("said", "words"), DISCARDED, ids=[next(iter(said)) for said, _ in DISCARDED])
def test_what_the_kernel_cannot_do_is_discarded_with_a_warning(said, words):
    left, warnings = adapt(HostConfig(**said), UNABLE)
    assert warnings == (f"Your kernel does not support {words}",)
    assert not any(getattr(left, name) for name in said)


def test_memory_is_limited_without_swap_where_swap_is_not_counted():
    left, warnings = adapt(HostConfig(memory=64 * MIB), Abilities(swap=False))
    assert left.memory_swap == -1
    assert warnings == (
        f"Your kernel does not support swap limit capabilities {UNMOUNTED}. Memory limited without swap.",
    )


def test_an_oom_killer_without_a_limit_and_limits_of_windows_get_a_warning():
    _, warnings = adapt(HostConfig(oom_kill_disable=True), ABLE)
    assert warnings == (
        "OOM killer is disabled for the container, but no memory limit is set, "
        "this can result in the system running out of resources.",
    )
    left, warnings = adapt(HostConfig(cpu_percent=5, cpu_count=2), ABLE)
    assert (left.cpu_percent, left.cpu_count) == (0, 0)
    assert warnings == (
        "linux does not support CPU percent. Percent discarded.",
        "linux does not support CPU count. Count discarded.",
    )


def test_what_is_impossible_on_this_kernel_and_cannot_be_left_out_is_refused():
    with pytest.raises(InvalidParameter, match="kernel does not support CPU real-time scheduler"):
        adapt(HostConfig(cpu_realtime_runtime=5), UNABLE)
    with pytest.raises(InvalidParameter, match="NanoCPUs can not be set, as your kernel does not support CPU CFS"):
        adapt(HostConfig(nano_cpus=1), Abilities(quota=False, cpus=frozenset((0,))))


def test_an_update_may_change_swap_alone_and_has_words_of_its_own():
    assert adapt(HostConfig(memory_swap=64 * MIB), ABLE, updating=True) == (HostConfig(memory_swap=64 * MIB), ())
    with pytest.raises(InvalidParameter, match="Invalid QoS settings: linux does not support Maximum IO Bandwidth"):
        adapt(HostConfig(io_maximum_i_ops=5), ABLE, updating=True)


def test_lists_of_numbers():
    assert parse_numbers("0-2,4") == {0, 1, 2, 4}
    for text in ("", "a", "2-1", "1-", "-1", "1,,2", "٣"):
        with pytest.raises(ValueError):
            parse_numbers(text)
