"""Networks as users reach them: published ports, neighbours, host, none, shared."""

import socket
import subprocess
import sys
import time
import urllib.request

import pytest

SERVER = "mkdir -p /www && hostname > /www/index.html && httpd -f -p 80 -h /www"


def serve(daemon, name, *flags):
    return daemon.out("run", "-d", "--name", name, "-h", name, *flags, "busybox", "sh", "-c", SERVER)


def fetch(url):
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode().strip()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def published(daemon, name, port="80"):
    return daemon.out("port", name, port).splitlines()[0]


def test_a_port_on_loopback_answers(daemon):
    serve(daemon, "web", "-p", "127.0.0.1::80")
    assert fetch(f"http://{published(daemon, 'web')}/") == "web"


def test_a_port_on_every_address_answers_on_the_hosts(daemon):
    serve(daemon, "web", "-p", "80")
    port = published(daemon, "web").rpartition(":")[2]
    assert fetch(f"http://127.0.0.1:{port}/") == "web"
    assert fetch(f"http://10.213.7.1:{port}/") == "web"


def test_a_fixed_port_and_its_conflict(daemon):
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    serve(daemon, "first", "-p", f"127.0.0.1:{port}:80")
    done = daemon.docker("run", "-d", "--name", "second", "-p", f"127.0.0.1:{port}:80", "busybox", "true", check=False)
    assert done.returncode == 125
    assert "port is already allocated" in done.stderr
    assert daemon.out("inspect", "-f", "{{.State.Status}}", "second") == "created"
    daemon.docker("rm", "-f", "first")
    daemon.docker("start", "second")


def test_a_port_of_another_program_is_not_taken(daemon):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = daemon.docker("run", "--rm", "-p", f"127.0.0.1:{port}:80", "busybox", "true", check=False)
    assert done.returncode == 125
    assert "address already in use" in done.stderr


def test_a_range_of_ports(daemon):
    daemon.docker("run", "-d", "--name", "many", "-p", "127.0.0.1:42100-42104:7000-7004", "busybox", "sleep", "100")
    assert len(daemon.out("port", "many").splitlines()) == 5
    assert daemon.out("port", "many", "7003") == "127.0.0.1:42103"


ECHO_OVER_UDP = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 5353))
print("ready", flush=True)
data, client = server.recvfrom(100)
server.sendto(data.upper(), client)
"""


def test_udp(daemon):
    daemon.docker("run", "-d", "--name", "udp", "-p", "127.0.0.1::5353/udp", "busybox", "sleep", "100")
    host, _, port = published(daemon, "udp", "5353/udp").rpartition(":")
    # busybox has no server for UDP, so one is put into the container's network.
    enter = ["nsenter", "-n", "-t", daemon.out("inspect", "-f", "{{.State.Pid}}", "udp"), sys.executable, "-c"]
    with (
        subprocess.Popen([*enter, ECHO_OVER_UDP], stdout=subprocess.PIPE, text=True) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        assert server.stdout.readline() == "ready\n"
        client.settimeout(10)
        client.connect((host, int(port)))
        client.send(b"ping")
        assert client.recv(10) == b"PING"


def test_neighbours_reach_each_other(daemon):
    serve(daemon, "web")
    address = daemon.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web")
    script = f"until wget -q -O - http://{address}/; do usleep 50000; done"
    assert daemon.out("run", "--rm", "busybox", "sh", "-c", script) == "web"


def test_a_container_reaches_a_published_port_by_the_hosts_address(daemon):
    serve(daemon, "web", "-p", "80")
    port = published(daemon, "web").rpartition(":")[2]
    script = f"until wget -q -O - http://10.213.7.1:{port}/; do usleep 50000; done"
    assert daemon.out("run", "--rm", "busybox", "sh", "-c", script) == "web"


def test_host_and_none(daemon):
    assert daemon.out("run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net") == "lo"
    host_name = socket.gethostname()
    said = daemon.out("run", "--rm", "--network", "host", "busybox", "sh", "-c", "hostname; ls /sys/class/net")
    assert said.splitlines()[0] == host_name
    assert "wherrytest0" in said


def test_a_container_joins_anothers_network(daemon):
    serve(daemon, "web")
    script = "until wget -q -O - http://127.0.0.1/; do usleep 50000; done"
    assert daemon.out("run", "--rm", "--network", "container:web", "busybox", "sh", "-c", script) == "web"


def test_inspect_shows_the_network(daemon):
    daemon.docker("run", "-d", "--name", "nn", "busybox", "sleep", "100")
    network = daemon.out("network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}", "bridge")
    address = daemon.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "nn")
    assert network == f"nn {address}/24"
    assert sorted(daemon.out("network", "ls", "--format", "{{.Name}}").split()) == ["bridge", "host", "none"]


def test_the_host_name_stands_in_etc_hosts(daemon):
    said = daemon.out("run", "--rm", "-h", "named", "busybox", "sh", "-c", "grep named /etc/hosts; hostname -i")
    line, address = said.splitlines()
    assert line == f"{address}\tnamed"


@pytest.fixture
def other_host():
    """Another machine on a cable of its own: a network namespace with an address that the host can reach."""
    name = "wherryother"
    commands = [
        f"ip netns add {name}",
        "ip link add wother0 type veth peer name wother1",
        f"ip link set wother1 netns {name}",
        "ip address add 10.213.77.1/24 dev wother0",
        "ip link set wother0 up",
        f"ip -n {name} address add 10.213.77.2/24 dev wother1",
        f"ip -n {name} link set wother1 up",
        f"ip -n {name} route add default via 10.213.77.1",
    ]
    for command in commands:
        subprocess.run(command.split(), check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)
    subprocess.run(["ip", "link", "delete", "wother0"], capture_output=True)


def test_another_host_reaches_what_is_published_and_nothing_else(other_host, daemon):
    serve(daemon, "web", "-p", "80")
    port = published(daemon, "web").rpartition(":")[2]
    address = daemon.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web")
    fetch(f"http://127.0.0.1:{port}/")

    def curl(url):
        return subprocess.run(
            ["ip", "netns", "exec", other_host, "curl", "-s", "--max-time", "3", url], capture_output=True, text=True
        )

    assert curl(f"http://10.213.77.1:{port}/").stdout.strip() == "web"
    assert curl(f"http://{address}:80/").returncode != 0
