"""A real dockerd on the same host, before and after us: both engines' containers go on working."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from wherry.model.network import PortRequest
from wherry.networks.options import NetworkOptions

PORT = PortRequest(container_port=80, protocol="tcp", host_port_first=8080, host_port_last=8080)


@pytest.fixture
def dockerd(host, tmp_path):
    """Starts Docker's daemon, firewall and all, in the namespace of the test."""
    if shutil.which("dockerd") is None:
        pytest.skip("dockerd is not installed")
    started = []

    def start():
        # Only a dockerd that has to switch it on makes `drop` the policy of FORWARD.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        read_fd, write_fd = os.pipe()
        socket = tmp_path / "docker.sock"
        process = subprocess.Popen(
            [
                "dockerd", "--data-root", tmp_path / "data", "--exec-root", tmp_path / "exec",
                "--pidfile", tmp_path / "pid", "--host", f"unix://{socket}", "--storage-driver", "vfs",
            ],
            stdout=write_fd,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        os.close(write_fd)
        started.append((process, read_fd))
        with open(read_fd, closefd=False) as log:
            lines = []
            for line in log:
                lines.append(line)
                if "API listen on" in line:
                    return
        pytest.skip(f"dockerd does not start here: {lines[-1:]}")

    yield start
    for process, read_fd in started:
        process.terminate()
        while os.read(read_fd, 65536):
            pass
        process.wait()
        os.close(read_fd)


def _rules(chain):
    return _iptables("-S", chain).splitlines()


def _iptables(*arguments):
    return subprocess.run(["iptables", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.peer
async def test_packets_of_our_bridge_pass_dockerds_firewall(host, dockerd, daemon, containers, serve, say):
    await asyncio.to_thread(dockerd)
    assert _rules("FORWARD")[0] == "-P FORWARD DROP"
    networks = await daemon()
    assert networks.find("bridge").pools[0].subnet == "172.18.0.0/16"
    sandbox, other = await containers(networks, PORT), await containers(networks)
    serve(sandbox.netns_fd)
    serve(host.neighbour_fd, 8000)
    assert (await say(host.neighbour_fd, host.address, 8080)).endswith(":hello")
    assert await say(sandbox.netns_fd, host.neighbour_address, 8000) == f"{host.address}:hello"
    assert (await say(other.netns_fd, sandbox.attachment.endpoints[0].ip_address, 80)).endswith(":hello")
    with pytest.raises(OSError):
        await say(host.neighbour_fd, sandbox.attachment.endpoints[0].ip_address, 80, seconds=0.3)


@pytest.mark.peer
async def test_our_two_rules_are_the_last_of_docker_user_and_stay_two(host, dockerd, daemon):
    await asyncio.to_thread(dockerd)
    _iptables("-I", "DOCKER-USER", "-s", "203.0.113.0/24", "-j", "DROP")
    before = {chain: _rules(chain) for chain in ("FORWARD", "INPUT", "OUTPUT")}
    networks = await daemon()
    await networks.open([])
    assert _rules("DOCKER-USER") == [
        "-N DOCKER-USER",
        "-A DOCKER-USER -s 203.0.113.0/24 -j DROP",
        '-A DOCKER-USER -i wherry0 -m comment --comment "wherry wherry0" -j ACCEPT',
        '-A DOCKER-USER -o wherry0 -m comment --comment "wherry wherry0" -j ACCEPT',
        "-A DOCKER-USER -j RETURN",
    ]
    assert {chain: _rules(chain) for chain in before} == before


@pytest.mark.peer
async def test_a_dockerd_that_starts_later_is_met_by_itself(host, dockerd, daemon, containers, serve, say):
    networks = await daemon()
    sandbox = await containers(networks, PORT)
    serve(sandbox.netns_fd)
    mended = asyncio.Event()
    watch = networks._ground.watch
    mend = watch._mend
    watch._mend = lambda: (mend(), mended.set())
    await asyncio.to_thread(dockerd)
    await asyncio.wait_for(mended.wait(), 5)
    assert (await say(host.neighbour_fd, host.address, 8080)).endswith(":hello")


async def test_a_firewall_that_drops_by_policy_is_told(host, daemon, caplog):
    _iptables("-P", "FORWARD", "DROP")
    await daemon(NetworkOptions(spare_namespaces=0))
    assert "the host's firewall drops forwarded packets by policy" in caplog.text
