"""Records on the wire: the fields that dockerd 28.5 shows, no more and no less."""

import json

import pytest
from msgspec.structs import replace

from wherry.api.answers import encode
from wherry.api.versions import NEWEST, Version
from wherry.api.views.container import exec_view, inspection_view, status_words, summary_view
from wherry.api.views.durations import human_duration
from wherry.api.views.event import event_view
from wherry.api.views.image import image_summary_view, image_view, removed_view, step_view
from wherry.api.views.info import info_view
from wherry.api.views.inspections import Inspections
from wherry.api.views.network import network_view
from wherry.api.views.network_settings import networks_view, ports_view
from wherry.api.views.rows import Rows
from wherry.api.views.volume import volume_view
from wherry.engine.exec_record import Exec, ExecRequest
from wherry.engine.inspect import Inspection
from wherry.engine.listing import Summary
from wherry.engine.sizes import Sizes
from wherry.images.history import Step
from wherry.images.remove import Deleted, Untagged
from wherry.model.config import Config, EndpointRequest, HostConfig, NetworkingConfig
from wherry.model.container import Container, State
from wherry.model.event import Event
from wherry.model.image import Image, Layer
from wherry.model.network import Attachment, Endpoint, IpamPool, Network, PublishedPort
from wherry.model.state import Status
from wherry.model.volume import MountPoint, Volume

SECOND = 1_000_000_000
ID = "e7" * 32

ENDPOINT = Endpoint(
    id="98" * 32, network_id="50" * 32, network_name="bridge", mac_address="7e:b4:58:3d:26:c4",
    ip_address="172.17.0.2", ip_prefix=16, gateway="172.17.0.1",
)  # fmt: skip
PORTS = (
    PublishedPort(container_port=9000, protocol="udp", host_ip="0.0.0.0", host_port=32768),
    PublishedPort(container_port=80, protocol="tcp", host_ip="0.0.0.0", host_port=8080),
    PublishedPort(container_port=80, protocol="tcp", host_ip="::", host_port=8080),
)
CONTAINER = Container(
    id=ID,
    name="r1",
    created_ns=1795234492 * SECOND,
    image_id="sha256:a7",
    image_name="busybox",
    chain_id="sha256:c8",
    config=Config(image="busybox", labels={"k": "v"}, exposed_ports={"80/tcp": {}, "9000/udp": {}, "99/tcp": {}}),
    host_config=HostConfig(network_mode="bridge", tmpfs={"/t": ""}),
    path="sleep",
    args=("100", "a b"),
    mounts=(
        MountPoint(kind="volume", destination="/data", source="/v/_data", name="vol1", driver="local", mode="z"),
        MountPoint(kind="bind", destination="/b", source="/tmp", mode="ro", writable=False, propagation="rprivate"),
        MountPoint(kind="tmpfs", destination="/t"),
    ),
    state=State(status=Status.RUNNING, pid=5, started_ns=1795234492 * SECOND),
    attachment=Attachment(sandbox_id="91" * 32, endpoints=(ENDPOINT,), ports=PORTS),
    storage_driver="overlay",
)

INSPECT_FIELDS = [
    "Id", "Created", "Path", "Args", "State", "Image", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
    "Name", "RestartCount", "Driver", "Platform", "MountLabel", "ProcessLabel", "AppArmorProfile", "ExecIDs",
    "HostConfig", "GraphDriver", "Mounts", "Config", "NetworkSettings",
]  # fmt: skip
HOST_CONFIG_FIELDS = {
    "Binds", "ContainerIDFile", "LogConfig", "NetworkMode", "PortBindings", "RestartPolicy", "AutoRemove",
    "VolumeDriver", "VolumesFrom", "ConsoleSize", "CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions",
    "DnsSearch", "ExtraHosts", "GroupAdd", "IpcMode", "Cgroup", "Links", "OomScoreAdj", "PidMode", "Privileged",
    "PublishAllPorts", "ReadonlyRootfs", "SecurityOpt", "UTSMode", "UsernsMode", "ShmSize", "Isolation",
    "CpuShares", "Memory", "NanoCpus", "CgroupParent", "BlkioWeight", "BlkioWeightDevice", "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "CpuPeriod", "CpuQuota",
    "CpuRealtimePeriod", "CpuRealtimeRuntime", "CpusetCpus", "CpusetMems", "Devices", "DeviceCgroupRules",
    "DeviceRequests", "MemoryReservation", "MemorySwap", "MemorySwappiness", "OomKillDisable", "PidsLimit", "Ulimits",
    "CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth", "MaskedPaths", "ReadonlyPaths",
}  # fmt: skip
CONFIG_FIELDS = {
    "Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce",
    "Env", "Cmd", "Image", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels",
}  # fmt: skip


def inspection(container=CONTAINER, **more):
    return Inspection(
        container=container, log_path="/l", resolv_conf_path="/r", hostname_path="/n", hosts_path="/h",
        graph_driver="overlay", graph_data={"MergedDir": "/m"}, **{"exec_ids": (), **more},
    )  # fmt: skip


def inspected(container=CONTAINER, **more):
    return inspection_view(inspection(container, **more), sandbox_key="/proc/5/ns/net")


def test_an_inspection_is_encoded_anew_when_anything_in_it_is_another():
    inspections = Inspections()
    first = inspections.encode(inspection())
    assert inspections.encode(inspection()) is first
    ended = replace(CONTAINER, state=State(status=Status.EXITED, exit_code=3))
    others = [inspection(ended), inspection(exec_ids=("1",)), inspection(links=("/db:/r1/db",)), inspection()]
    found = [json.loads(inspections.encode(other)) for other in others]
    assert [each["State"]["ExitCode"] for each in found] == [3, 0, 0, 0]
    assert [each["ExecIDs"] for each in found] == [None, ["1"], None, None]
    assert [each["HostConfig"]["Links"] for each in found] == [None, None, ["/db:/r1/db"], None]
    assert found[-1] == json.loads(first)


def test_inspect_has_dockers_fields_in_dockers_order():
    wire = inspected()
    assert list(wire) == INSPECT_FIELDS
    assert set(wire["HostConfig"]) == HOST_CONFIG_FIELDS | {"Tmpfs"}
    assert set(wire["Config"]) == CONFIG_FIELDS | {"ExposedPorts"}
    assert (wire["Name"], wire["ExecIDs"], wire["Created"]) == ("/r1", None, "2026-11-21T04:14:52Z")
    sizes = inspected(sizes=Sizes(own=0, whole=7))
    assert (sizes["SizeRw"], sizes["SizeRootFs"]) == (0, 7)


def test_mounts_show_what_binds_and_mounts_asked_for():
    assert inspected()["Mounts"] == [
        {
            "Type": "volume", "Name": "vol1", "Source": "/v/_data", "Destination": "/data", "Driver": "local",
            "Mode": "z", "RW": True, "Propagation": "",
        },
        {
            "Type": "bind", "Source": "/tmp", "Destination": "/b", "Mode": "ro", "RW": False,
            "Propagation": "rprivate",
        },
    ]  # fmt: skip


def test_network_settings_of_a_running_container():
    wire = inspected()["NetworkSettings"]
    addresses = {
        "Gateway": "172.17.0.1", "IPAddress": "172.17.0.2", "IPPrefixLen": 16, "IPv6Gateway": "",
        "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "EndpointID": "98" * 32, "MacAddress": "7e:b4:58:3d:26:c4",
    }  # fmt: skip
    assert addresses.items() <= wire.items()
    assert wire["Networks"]["bridge"] == addresses | {
        "IPAMConfig": None, "Links": None, "Aliases": None, "DriverOpts": None, "GwPriority": 0,
        "NetworkID": "50" * 32, "DNSNames": None,
    }  # fmt: skip
    assert wire["Ports"] == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "9000/udp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}],
        "99/tcp": None,
    }
    assert (wire["SandboxID"], wire["SandboxKey"]) == ("91" * 32, "/proc/5/ns/net")


def test_network_settings_of_a_container_that_does_not_run():
    resting = replace(
        CONTAINER,
        attachment=None,
        networking=NetworkingConfig(endpoints_config={"default": EndpointRequest(mac_address="02:42:ac:11:00:99")}),
    )
    wire = inspected(resting)["NetworkSettings"]
    assert (wire["SandboxID"], wire["SandboxKey"], wire["Ports"], wire["IPAddress"]) == ("", "", {}, "")
    assert list(wire["Networks"]) == ["bridge"]
    assert wire["Networks"]["bridge"]["MacAddress"] == "02:42:ac:11:00:99"
    shared = replace(resting, networking=NetworkingConfig(), host_config=HostConfig(network_mode=f"container:{ID}"))
    assert networks_view(shared) == {}


def test_a_row_of_the_list():
    row = summary_view(Summary(container=CONTAINER), NEWEST, now_ns=1795234522 * SECOND)
    assert list(row) == [
        "Id", "Names", "Image", "ImageID", "Command", "Created", "Ports", "Labels", "State", "Status", "HostConfig",
        "NetworkSettings", "Mounts",
    ]  # fmt: skip
    assert (row["Command"], row["Status"], row["State"]) == ("sleep 100 'a b'", "Up 30 seconds", "running")
    assert row["HostConfig"] == {"NetworkMode": "bridge"}
    sized = summary_view(Summary(container=CONTAINER, sizes=Sizes(own=0, whole=5)), NEWEST, now_ns=0)
    assert "SizeRw" not in sized
    assert sized["SizeRootFs"] == 5


def test_a_row_that_is_known_already_says_what_is_so_now():
    rows, second = Rows(), 1795234522
    asked = [
        (Summary(container=CONTAINER), NEWEST, second),
        (Summary(container=CONTAINER), NEWEST, second + 3600),
        (Summary(container=CONTAINER, link_names=("/a/b",)), NEWEST, second),
        (Summary(container=CONTAINER), Version(1, 45), second),
        (Summary(container=CONTAINER, sizes=Sizes(own=1, whole=5)), NEWEST, second),
        (Summary(container=CONTAINER), NEWEST, second),
        (Summary(container=replace(CONTAINER, name="<other>")), NEWEST, second),
    ]
    for summary, version, now in asked:
        expected = encode([summary_view(summary, version, now_ns=now * SECOND)])
        assert rows.encode([summary], version, now_ns=now * SECOND) == expected
    assert rows.encode([], NEWEST, now_ns=0) == encode([])


def test_ports_are_sorted_and_the_merely_exposed_are_among_them():
    assert ports_view(CONTAINER) == [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 99, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 9000, "PublicPort": 32768, "Type": "udp"},
    ]
    assert ports_view(replace(CONTAINER, attachment=None)) == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(), "Created"),
        (State(status=Status.RUNNING, started_ns=SECOND), "Up About a minute"),
        (State(status=Status.PAUSED, started_ns=SECOND), "Up About a minute (Paused)"),
        (State(status=Status.EXITED, finished_ns=80 * SECOND, exit_code=3), "Exited (3) 20 seconds ago"),
        (State(status=Status.EXITED), ""),
        (State(status=Status.RESTARTING, finished_ns=99 * SECOND, exit_code=1), "Restarting (1) 1 second ago"),
        (State(status=Status.REMOVING), "Removal In Progress"),
        (State(status=Status.DEAD), "Dead"),
    ],
)
def test_a_state_in_words(state, words):
    assert status_words(state, now_ns=100 * SECOND) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (120, "2 minutes"),
        (3599, "59 minutes"), (3600, "About an hour"), (5400, "2 hours"), (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"), (14 * 86400, "2 weeks"), (60 * 86400, "2 months"), (730 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert human_duration(seconds * SECOND) == words


def test_an_exec():
    record = Exec(id="ab", container_id=ID, request=ExecRequest(cmd=("echo", "hi"), user="root", attach_stdout=True))
    assert exec_view(record) == {
        "ID": "ab",
        "Running": False,
        "ExitCode": None,
        "ProcessConfig": {
            "tty": False, "entrypoint": "echo", "arguments": ["hi"], "privileged": False, "user": "root",
        },
        "OpenStdin": False, "OpenStderr": False, "OpenStdout": True, "CanRemove": False, "ContainerID": ID,
        "DetachKeys": "", "Pid": 0,
    }  # fmt: skip


def test_events_carry_the_old_fields_too():
    event = Event(kind="container", action="start", actor_id=ID, attributes={"name": "r1", "image": "b"}, time_ns=12)
    assert event_view(event) == {
        "status": "start", "id": ID, "from": "b", "Type": "container", "Action": "start",
        "Actor": {"ID": ID, "Attributes": {"image": "b", "name": "r1"}}, "scope": "local", "time": 0, "timeNano": 12,
    }  # fmt: skip
    assert "status" not in event_view(Event(kind="network", action="connect", actor_id="x", attributes={}, time_ns=1))


IMAGE = Image(
    id="sha256:a7", config=Config(cmd=("sh",), env=("PATH=/bin",)), architecture="amd64", os="linux",
    created="2026-11-21T04:14:51.99298337Z", layers=(Layer(diff_id="sha256:c8", chain_id="sha256:c8", size_bytes=5),),
    references=("busybox:latest",), size_bytes=5, comment="Imported from -",
)  # fmt: skip


def test_a_row_of_images_by_version():
    newest = image_summary_view(IMAGE, NEWEST, containers=8)
    assert newest == {
        "Containers": 8, "Created": 1795234491, "Id": "sha256:a7", "Labels": None, "ParentId": "", "RepoDigests": [],
        "RepoTags": ["busybox:latest"], "SharedSize": -1, "Size": 5,
    }  # fmt: skip
    assert image_summary_view(IMAGE, Version(1, 43))["VirtualSize"] == 5
    assert image_summary_view(IMAGE, Version(1, 42))["RepoDigests"] is None
    nameless = image_summary_view(replace(IMAGE, references=()), Version(1, 42))
    assert (nameless["RepoTags"], nameless["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])


def test_an_image_by_version():
    def viewed(version):
        return image_view(IMAGE, version, graph_driver="overlay", graph_data={})

    newest = viewed(NEWEST)
    assert list(newest) == [
        "Id", "RepoTags", "RepoDigests", "Parent", "Comment", "Created", "DockerVersion", "Author", "Config",
        "Architecture", "Os", "Size", "GraphDriver", "RootFS", "Metadata",
    ]  # fmt: skip
    assert set(newest["Config"]) == {"Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir"}
    assert "Hostname" in viewed(Version(1, 49))["Config"]
    assert "ContainerConfig" in viewed(Version(1, 44))
    assert "VirtualSize" not in viewed(Version(1, 44))
    assert viewed(Version(1, 43))["VirtualSize"] == 5


def test_history_and_removal():
    step = Step(created=1, created_by="x", size_bytes=2, comment="c")
    assert step_view(step) == {
        "Comment": "c", "Created": 1, "CreatedBy": "x", "Id": "<missing>", "Size": 2, "Tags": None,
    }  # fmt: skip
    assert removed_view(Untagged("a:b")) == {"Untagged": "a:b"}
    assert removed_view(Deleted("sha256:a")) == {"Deleted": "sha256:a"}


def test_a_network_with_its_members():
    network = Network(
        id="50" * 32, name="bridge", driver="bridge", created_ns=SECOND,
        pools=(IpamPool(subnet="172.17.0.0/16", gateway="172.17.0.1"),), options={"o": "1"},
    )  # fmt: skip
    wire = network_view(network, [(CONTAINER, ENDPOINT)])
    assert list(wire) == [
        "Name", "Id", "Created", "Scope", "Driver", "EnableIPv4", "EnableIPv6", "IPAM", "Internal", "Attachable",
        "Ingress", "ConfigFrom", "ConfigOnly", "Containers", "Options", "Labels",
    ]  # fmt: skip
    assert wire["IPAM"] == {
        "Driver": "default", "Options": None, "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}],
    }  # fmt: skip
    assert wire["Containers"][ID] == {
        "Name": "r1", "EndpointID": "98" * 32, "MacAddress": "7e:b4:58:3d:26:c4", "IPv4Address": "172.17.0.2/16",
        "IPv6Address": "",
    }  # fmt: skip
    assert network_view(replace(network, pools=()))["IPAM"]["Config"] is None


def test_a_volume():
    volume = Volume(name="v", driver="local", mountpoint="/m", created_ns=1795234492_500000000)
    assert volume_view(volume) == {
        "CreatedAt": "2026-11-21T04:14:52Z", "Driver": "local", "Labels": None, "Mountpoint": "/m", "Name": "v",
        "Options": None, "Scope": "local",
    }  # fmt: skip


def test_info_for_older_clients():
    newest = {
        "RegistryConfig": {}, "RuncCommit": {"ID": "x"}, "SecurityOptions": ["name=seccomp,profile=builtin"],
        "BridgeNfIptables": True, "FirewallBackend": {}, "Containerd": {},
    }  # fmt: skip
    assert "BridgeNfIptables" not in info_view(newest, NEWEST)
    assert "BridgeNfIptables" in info_view(newest, Version(1, 49))
    assert info_view(newest, Version(1, 48))["RuncCommit"] == {"ID": "x", "Expected": "x"}
    assert "AllowNondistributableArtifactsCIDRs" in info_view(newest, Version(1, 46))["RegistryConfig"]
    assert info_view(newest, Version(1, 41))["KernelMemory"] is True
    assert info_view(newest, Version(1, 24))["SecurityOptions"] == ["seccomp"]
    assert newest["RuncCommit"] == {"ID": "x"}
