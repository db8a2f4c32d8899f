"""The other defaults are Docker's, to the letter."""

import pytest

from wherry.engine.defaults.devices import EVERYTHING, NOTHING, device_rules, parse_rule
from wherry.engine.defaults.paths import MASKED, READONLY, masked_paths
from wherry.engine.defaults.sysctls import default_sysctls
from wherry.model.errors import InvalidParameter
from wherry.oci.runtime import DeviceRule


def test_masked_paths_are_dockers_and_the_hosts_thermal_counters():
    assert masked_paths()[: len(MASKED)] == MASKED
    assert {"/proc/kcore", "/proc/interrupts", "/sys/firmware", "/sys/devices/virtual/powercap"} <= set(MASKED)
    assert all(path.endswith("/thermal_throttle") for path in masked_paths()[len(MASKED) :])


def test_read_only_paths_are_dockers():
    assert READONLY == ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def test_devices_are_denied_but_for_what_is_said():
    assert device_rules((), privileged=False) == (NOTHING,)
    assert device_rules(["c 10:* rm"], privileged=False)[1] == DeviceRule(allow=True, type="c", major=10, access="rm")
    assert device_rules(["c 10:* rm"], privileged=True) == (EVERYTHING,)


@pytest.mark.parametrize("text", ["c 1:3 x", "c 1:3", "d 1:3 r", "c 1 r", "c 1:3 rwmr", "", "c 1:3 r\n"])
def test_wrong_device_rules_are_refused_in_dockerds_words(text):
    with pytest.raises(InvalidParameter) as caught:
        parse_rule(text)
    assert str(caught.value) == f"invalid device cgroup rule format: '{text}'"


def test_sysctls_belong_to_the_containers_own_network():
    assert default_sysctls(own_network=False, own_users=False) == {}
    assert default_sysctls(own_network=True, own_users=False) == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
    }
    assert list(default_sysctls(own_network=True, own_users=True)) == ["net.ipv4.ip_unprivileged_port_start"]
