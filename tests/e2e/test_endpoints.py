"""What a user says of a container's one endpoint on the default bridge."""

import json

import pytest

PREFIX = "com.docker.network.endpoint"


def on_bridge(*options):
    return f"--network=name=bridge,{','.join(options)}"


def refusal(daemon, *words):
    done = daemon.docker("run", "--rm", *words, "busybox", "true", check=False)
    assert done.returncode == 125
    return done.stderr.partition("daemon: ")[2].partition("\n\n")[0]


def test_an_interface_may_have_another_name_and_is_counted_under_it(daemon):
    option = on_bridge(f"driver-opt={PREFIX}.ifname=lan0")
    daemon.docker("run", "-d", "--name", "box", option, "busybox", "sleep", "1000")
    assert daemon.out("exec", "box", "ls", "/sys/class/net").split() == ["lan0", "lo"]
    (sample,) = [daemon.client().containers.get("box").stats(stream=False)]
    assert list(sample["networks"]) == ["lan0"]
    assert "File exists" in refusal(daemon, on_bridge(f"driver-opt={PREFIX}.ifname=lo"))


@pytest.mark.parametrize("name", ["eth0", "lan0"])
def test_an_interface_has_parameters_of_its_own(daemon, name):
    sysctls = f"{PREFIX}.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    option = on_bridge(f"driver-opt={sysctls}", f"driver-opt={PREFIX}.ifname={name}")
    shown = daemon.out("run", "--rm", option, "busybox", "cat", f"/proc/sys/net/ipv4/conf/{name}/log_martians")
    assert shown == "1"
    words = refusal(daemon, on_bridge(f"driver-opt={PREFIX}.sysctls=foo"))
    assert words.startswith("invalid config for network bridge: invalid endpoint settings:\nunrecognised network inter")


def test_link_local_addresses_come_beside_the_containers_own(daemon):
    daemon.docker("run", "-d", "--name", "box", "--link-local-ip=169.254.10.10", "busybox", "sleep", "1000")
    assert "inet 169.254.10.10/16" in daemon.out("exec", "box", "ip", "address", "show", "eth0")
    shown = json.loads(daemon.out("inspect", "--format", "{{json .NetworkSettings.Networks.bridge.IPAMConfig}}", "box"))
    assert shown["LinkLocalIPs"] == ["169.254.10.10"]
    words = "failed to set up container networking: invalid link local IP address: 1.2.3.4"
    assert refusal(daemon, "--link-local-ip=1.2.3.4") == words


def macs(daemon, name):
    shown = daemon.client().api.inspect_container(name)
    settings = shown["NetworkSettings"]
    return [shown["Config"].get("MacAddress", ""), settings["MacAddress"], settings["Networks"]["bridge"]["MacAddress"]]


def test_a_mac_address_is_shown_where_it_is_asked_for_and_where_it_is(daemon):
    mac = "92:d0:c6:0a:29:33"
    daemon.docker("create", "--name", "box", "--mac-address", mac, "busybox", "sleep", "1000")
    assert macs(daemon, "box") == [mac, mac, mac]
    daemon.docker("start", "box")
    assert macs(daemon, "box") == [mac, mac, mac]
    assert daemon.out("exec", "box", "cat", "/sys/class/net/eth0/address") == mac
    daemon.docker("kill", "box")
    daemon.docker("wait", "box")
    assert macs(daemon, "box") == [mac, "", ""]
    network = daemon.out("network", "inspect", "--format", "{{.Id}}", "bridge")
    assert daemon.out("inspect", "--format", "{{.NetworkSettings.Networks.bridge.NetworkID}}", "box") == network
    daemon.docker("start", "box")
    assert macs(daemon, "box") == [mac, mac, mac]


def test_an_address_cannot_be_chosen_on_the_default_bridge(daemon):
    first = "invalid config for network bridge: invalid endpoint settings:\n"
    user_defined = "user specified IP address is supported on user defined networks only"
    assert refusal(daemon, "--ip=10.213.7.77") == f"{first}{user_defined}"
    outside = "no configured subnet or ip-range contain the IP address 1.2.3.4"
    assert refusal(daemon, "--ip=1.2.3.4") == f"{first}* {user_defined}\n* {outside}"
    without = "user specified IP address is supported only when connecting to networks with user configured subnets"
    assert refusal(daemon, "--ip6=::1") == f"{first}* {user_defined}\n* {without}"
