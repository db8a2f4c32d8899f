"""The parts that need no engine: records, options, frames, archives."""

import io
import tarfile
from datetime import UTC, datetime, timedelta, timezone

import pytest

import wherry
from wherry.python.archives import extract
from wherry.python.credentials import header_for, registry_of
from wherry.python.filters import filters_of
from wherry.python.frames import Chunk, Frames, Line, Lines
from wherry.python.options import body_of, update_of
from wherry.python.ports import address_of
from wherry.python.progress import split
from wherry.python.quantities import bytes_of, moment_of
from wherry.python.records.container import ContainerInfo, ContainerSummary
from wherry.python.records.image import ImageSummary
from wherry.python.records.record import read, read_all
from wherry.python.records.stats import Stats


def test_a_record_takes_what_go_writes():
    raw = {
        "Id": "x", "Name": "/web", "Created": "2026-01-02T03:04:05.123456789Z", "Unknown": {"a": None}, "Mounts": None,
        "State": {"Status": "exited", "OOMKilled": True, "FinishedAt": "0001-01-01T00:00:00Z", "Health": None},
        "Config": {"Labels": {"empty": ""}, "Cmd": None, "Env": ["A="]},
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81/tcp": None}},
    }  # fmt: skip
    info = read(ContainerInfo, raw)
    assert (info.name, info.state.oom_killed, info.state.finished_at, info.state.health) == ("web", True, None, None)
    assert info.created.replace(microsecond=0) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (info.config.labels, info.config.command, info.config.env) == ({"empty": ""}, (), ("A=",))
    assert info.network_settings.ports["80/tcp"][0].host_port == 8080
    assert info.raw == raw
    assert "raw" not in repr(info)
    assert repr(info).startswith("ContainerInfo(id='x', ")
    with pytest.raises(AttributeError):
        info.id = "y"


def test_times_are_seconds_in_lists():
    (image,) = read_all(ImageSummary, [{"Id": "x", "Created": 1767323045, "Labels": None}])
    assert image.created == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read_all(ImageSummary, None) == ()
    assert read(ContainerSummary, {"Id": "x", "Names": ["/other/alias", "/own"]}).name == "own"


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"Id": 1.5}, {"Id": "x", "State": "running"}])
def test_what_is_no_record_is_a_protocol_error(answer):
    with pytest.raises(wherry.ProtocolError):
        read(ContainerInfo, answer)


def test_readings_count_as_docker_does():
    cpu = {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2}
    before = {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000}
    memory = {"usage": 100, "limit": 1000, "stats": {"inactive_file": 20, "total_inactive_file": 30}}
    io_bytes = [{"op": "Read", "value": 5}, {"op": "read", "value": 6}, {"op": "Write", "value": 7}]
    raw = {
        "name": "/web", "cpu_stats": cpu, "precpu_stats": before, "memory_stats": memory,
        "networks": {"a": {"rx_bytes": 1, "tx_bytes": 2}, "b": {"rx_bytes": 3}},
        "blkio_stats": {"io_service_bytes_recursive": io_bytes},
    }  # fmt: skip
    assert read(Stats, raw).cpu_percent == 0
    stats = read(Stats, {**raw, "preread": "2026-01-02T03:04:05Z"})
    assert (stats.cpu_percent, stats.memory_used, round(stats.memory_percent, 9)) == (40.0, 70, 7.0)
    assert (stats.network_received, stats.network_sent) == (4, 2)
    assert (stats.blkio_stats.bytes_of("read"), stats.blkio_stats.bytes_of("write")) == (11, 7)


@pytest.mark.parametrize(
    ("ports", "bindings"),
    [
        ({80: 8080}, {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        ({"53/udp": 0}, {"53/udp": [{"HostIp": "", "HostPort": ""}]}),
        ({80: ("127.0.0.1", 0)}, {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
        ({80: [1, ("::1", 2)]}, {"80/tcp": [{"HostIp": "", "HostPort": "1"}, {"HostIp": "::1", "HostPort": "2"}]}),
        ({80: "8000-8010"}, {"80/tcp": [{"HostIp": "", "HostPort": "8000-8010"}]}),
        ({80: None}, {"80/tcp": [{"HostIp": "", "HostPort": ""}]}),
    ],
)
def test_ports_are_published_as_said(ports, bindings):
    body = body_of("image", (), {"ports": ports})
    assert body["HostConfig"]["PortBindings"] == bindings
    assert set(body["ExposedPorts"]) == set(bindings)


def test_other_options_have_the_apis_form():
    body = body_of("image", "echo 'two words'", {"entrypoint": [], "health": {"test": ["true"], "interval": 0.5}})
    assert body["Cmd"] == ["echo", "two words"]
    assert body["Entrypoint"] == [""]
    assert body["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 500_000_000}
    assert body_of("image", (), {"no_health": True})["Healthcheck"] == {"Test": ["NONE"]}
    host = update_of(
        {"restart": "always", "ulimits": {"nofile": 5}, "devices": ["/dev/a:/dev/b"], "tmpfs": {"/t": "ro"}}
    )
    assert host["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 5, "Hard": 5}]
    assert host["Devices"] == [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"}]
    assert host["Tmpfs"] == {"/t": "ro"}
    raw = body_of("image", (), {"memory": 1, "host_config": {"Memory": 2}, "config": {"Image": "other"}})
    assert (raw["HostConfig"]["Memory"], raw["Image"]) == (2, "other")
    with pytest.raises(ValueError, match="no device"):
        body_of("image", (), {"devices": [":x"]})


def test_quantities():
    assert [bytes_of(text) for text in (5, "5", "5b", "1k", "1.5m", "2GiB", "1tb")] == [
        5, 5, 5, 1024, 3 << 19, 2 << 30, 1 << 40,
    ]  # fmt: skip
    for wrong in ("", "m", "5x", "1 2"):
        with pytest.raises(ValueError, match="no size"):
            bytes_of(wrong)
    moment = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=timezone(timedelta(hours=2)))
    assert (moment_of(moment), moment_of(None), moment_of("10m")) == ("1767315845.600000", "", "10m")
    assert filters_of({"dangling": True, "label": "a", "status": ("x", "y")}) == {
        "dangling": ["true"], "label": ["a"], "status": ["x", "y"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("busybox", ("busybox", "latest")),
        ("busybox:1", ("busybox", "1")),
        ("localhost:5000/a/b", ("localhost:5000/a/b", "latest")),
        ("localhost:5000/a/b:2", ("localhost:5000/a/b", "2")),
        ("a/b@sha256:0f", ("a/b", "sha256:0f")),
        ("b:1@sha256:0f", ("b", "sha256:0f")),
    ],
)
def test_references_are_taken_apart(reference, parts):
    assert split(reference) == parts


def test_credentials_come_from_the_caller_or_from_a_login(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert header_for("registry.example/a", None) == ""
    (tmp_path / "config.json").write_text('{"auths": {"registry.example": {"auth": "dXNlcjpwYXNz"}}}')
    known = header_for("registry.example/a", None)
    assert known == header_for("registry.example/b", {"username": "user", "password": "pass"})
    assert header_for("registry.example/b", {"identitytoken": "t"}) != known
    assert registry_of("a/b") == registry_of("docker.io/a") == "https://index.docker.io/v1/"


def test_frames_are_taken_apart_wherever_they_are_cut():
    data = b"\1\0\0\0\0\0\0\3one\2\0\0\0\0\0\0\4two\n\1\0\0\0\0\0\0\1\n"
    for size in range(1, len(data)):
        frames = Frames(is_terminal=False)
        chunks = [chunk for at in range(0, len(data), size) for chunk in frames.feed(data[at : at + size])]
        assert chunks == [Chunk("stdout", b"one"), Chunk("stderr", b"two\n"), Chunk("stdout", b"\n")]
    lines = Lines()
    assert [line for chunk in chunks for line in lines.feed(chunk)] == [Line("stderr", "two"), Line("stdout", "one")]
    assert list(lines.end()) == []
    for wrong in (b"\3\0\0\0\0\0\0\1x", b"\7\0\0\0\0\0\0\0"):
        with pytest.raises(wherry.ProtocolError):
            Frames(is_terminal=False).feed(wrong)


def hostile(name, kind=tarfile.REGTYPE, link=""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        archive.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        hostile("../outside"),
        hostile("link", tarfile.SYMTYPE, "../../outside"),
        hostile("link", tarfile.SYMTYPE, "/etc/passwd"),
        hostile("link", tarfile.LNKTYPE, "../outside"),
        hostile("null", tarfile.CHRTYPE),
    ],
    ids=["parent", "symbolic link", "absolute link", "hard link", "device"],
)
def test_a_hostile_archive_is_not_unpacked(archive, tmp_path):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    with pytest.raises(tarfile.TarError):
        extract(archive, inside)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_a_container_that_has_no_address_says_so():
    with pytest.raises(wherry.NotFound, match="No public port '80/tcp' published for web"):
        address_of(read(ContainerInfo, {"Id": "x", "Name": "/web"}), 80, host="127.0.0.1")
