"""Texts of `run`'s flags and what they mean."""

import pytest

from wherry.cli.errors import CommandError
from wherry.cli.flags import Given, parse
from wherry.cli.options import devices, environment, mounts, networks, ports, quantities, security, spec, volumes
from wherry.cli.options.declared import SHARED


def body(*words):
    given, arguments = parse(SHARED, [*words, "image"], interspersed=False)
    return spec.body(given, arguments, {})


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512", 512),
        ("1k", 1024),
        ("1kb", 1024),
        ("1.5 GiB", 1610612736),
        ("2M", 2 << 20),
        ("0", 0),
        ("3b", 3),
        ("1t", 1 << 40),
    ],
)
def test_sizes(text, count):
    assert quantities.size(text) == count


@pytest.mark.parametrize("text", ["", "abc", "-5", "1q", "1kib2", "1_0", "5 5", "1bb", "k"])
def test_sizes_that_are_none(text):
    with pytest.raises(ValueError):
        quantities.size(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("5s", 5 * 10**9),
        ("1h2m3.5s", 3723500000000),
        ("-1m", -60 * 10**9),
        ("10ms", 10**7),
        (".5s", 5 * 10**8),
    ],
)
def test_durations(text, nanoseconds):
    assert quantities.duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "5x", "s", ".s", "1.2.3s", "-", "99999999999h"])
def test_durations_that_are_none(text):
    with pytest.raises(ValueError, match="time: "):
        quantities.duration(text)


@pytest.mark.parametrize(
    ("text", "billionths"), [("1.5", 1500000000), ("0.01", 10**7), (".5", 5 * 10**8), ("1/2", 5 * 10**8)]
)
def test_cpus(text, billionths):
    assert quantities.cpus(text) == billionths


@pytest.mark.parametrize(
    ("text", "port", "address", "host_port"),
    [
        ("80", "80/tcp", "", ""),
        ("8080:80", "80/tcp", "", "8080"),
        ("127.0.0.1::53/udp", "53/udp", "127.0.0.1", ""),
        ("[::1]:80:80/SCTP", "80/sctp", "::1", "80"),
        ("::1:80:80", "80/tcp", "::1", "80"),
        ("8000-8010:80", "80/tcp", "", "8000-8010"),
        ("target=80,published=8080,protocol=udp", "80/udp", "", "8080"),
    ],
)
def test_published_ports(text, port, address, host_port):
    exposed, bindings = ports.published([text])
    assert exposed == {port: {}}
    assert bindings == {port: [{"HostIp": address, "HostPort": host_port}]}


def test_ranges_of_ports_go_in_pairs():
    _, bindings = ports.published(["90-91:80-81"])
    assert {port: where[0]["HostPort"] for port, where in bindings.items()} == {"80/tcp": "90", "81/tcp": "91"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("99999:1", "invalid hostPort: 99999"),
        ("1:99999", "invalid containerPort: 99999"),
        ("80:80/foo", "invalid proto: foo"),
        ("80-82:80-81", "invalid ranges specified for container and host Ports: 80-81 and 80-82"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("", "no port specified: <empty>"),
        ("foo", "invalid containerPort: foo"),
    ],
)
def test_ports_that_are_none(text, words):
    with pytest.raises(CommandError) as caught:
        ports.published([text])
    assert str(caught.value) == words


def test_a_source_makes_a_bind_and_a_target_alone_a_volume(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert volumes.split(["/a:/b:ro", "vol:/c", "/d", "./x:/e"]) == (
        ["/a:/b:ro", "vol:/c", f"{tmp_path}/x:/e"],
        {"/d": {}},
    )


def test_mounts_are_quoted_as_in_csv():
    assert mounts.read('type=volume,src=v,dst=/x,ro,"volume-opt=o=a,b"') == {
        "Type": "volume",
        "Source": "v",
        "Target": "/x",
        "ReadOnly": True,
        "VolumeOptions": {"DriverConfig": {"Options": {"o": "a,b"}}},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("type=bind,source=/x", "target is required"),
        ("type=bind,target=/y,foo=bar", "unexpected key 'foo' in 'foo=bar'"),
        ("type=bind,target=/y,readonly=x", "invalid value for readonly: x"),
        ("type=tmpfs,target=/y,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=bind,target=/y,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
    ],
)
def test_mounts_that_are_none(text, words):
    with pytest.raises(ValueError) as caught:
        mounts.read(text)
    assert str(caught.value) == words


def test_variables_come_from_files_then_flags_and_bare_names_from_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", "1")
    monkeypatch.delenv("NOWHERE", raising=False)
    (tmp_path / "env").write_text("\ufeffA=1\n# no\n\n  B=2 \r\nHERE\nNOWHERE\n")
    found = environment.environment([str(tmp_path / "env")], ["C=3", "HERE", "NOWHERE"])
    assert found == ["A=1", "B=2 ", "HERE=1", "C=3", "HERE=1", "NOWHERE"]


@pytest.mark.parametrize(
    ("text", "words"), [("a b=1", "contains whitespaces"), ("=1", "no variable name on line '=1'")]
)
def test_files_of_variables_are_checked(tmp_path, text, words):
    (tmp_path / "env").write_text(text)
    with pytest.raises(CommandError, match=words):
        environment.environment([str(tmp_path / "env")], [])


def test_capabilities_have_one_spelling():
    assert security.capabilities(["net_admin", "CAP_NET_ADMIN", "chown"], ["all"]) == (
        ["CAP_CHOWN", "CAP_NET_ADMIN"],
        ["ALL"],
    )
    assert security.capabilities(["chown"], ["chown", "kill"]) == (["CAP_CHOWN"], ["CAP_KILL"])


def test_a_seccomp_profile_is_read_here(tmp_path):
    (tmp_path / "p.json").write_text('{ "a": [1, 2.50] }')
    options, paths = security.options([f"seccomp={tmp_path}/p.json", "systempaths=unconfined", "no-new-privileges"])
    assert options == ['seccomp={"a":[1,2.50]}', "no-new-privileges"]
    assert paths == {"MaskedPaths": [], "ReadonlyPaths": []}


@pytest.mark.parametrize("text", ["foo", "seccomp=/nosuch/file"])
def test_security_options_that_are_none(text):
    with pytest.raises(CommandError):
        security.options([text])


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("/dev/a", ("/dev/a", "/dev/a", "rwm")),
        ("/dev/a:r", ("/dev/a", "/dev/a", "r")),
        ("/dev/a:/dev/b", ("/dev/a", "/dev/b", "rwm")),
        ("/dev/a:/dev/b:rw", ("/dev/a", "/dev/b", "rw")),
    ],
)
def test_devices(text, made):
    assert tuple(devices.device(text).values()) == made


@pytest.mark.parametrize("text", ["foo", "/a:/b:x", "/a:/b:r:w"])
def test_devices_that_are_none(text):
    with pytest.raises(CommandError):
        devices.device(text)


def test_ulimits():
    assert devices.read_ulimit("nofile=1:2") == {"Name": "nofile", "Hard": 2, "Soft": 1}
    for text in ("nofile", "foo=1", "nofile=3:1", "nofile=1:2:3", "nofile=x", "nofile=-1:5"):
        with pytest.raises(ValueError):
            devices.read_ulimit(text)


def network(*words):
    given, _ = parse(SHARED, list(words), interspersed=False)
    return networks.mode_and_endpoints(given)


def test_networks_by_name_and_in_the_long_form():
    assert network("--network", "host") == ("host", {})
    assert network() == ("default", {"default": {}})
    assert network("--network", "name=a,alias=x,ip=10.0.0.9", "--network", "b") == (
        "a",
        {"a": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}, "Aliases": ["x"]}, "b": {}},
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--network", "a", "--network", "a"],
        ["--network", "a", "--network", "host"],
        ["--network-alias", "x"],
        ["--network", "name=a,ip=1.2.3.4", "--ip", "1.2.3.5"],
    ],
)
def test_networks_that_conflict(words):
    with pytest.raises(CommandError):
        network(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rm", "--restart", "always"], "conflicting options: cannot specify both --restart and --rm"),
        (["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck conflicts with --health-* options"),
        (["--health-interval", "-5s"], "--health-interval cannot be negative"),
        (["--pid", "foo"], "--pid: invalid PID mode"),
        (["--pid", "container:"], "--pid: invalid PID mode"),
        (["--memory-swappiness", "200"], "invalid value: 200. Valid memory swappiness range is 0-100"),
        (["--mac-address", "zz"], "zz is not a valid mac address"),
        (["--log-driver", "none", "--log-opt", "a=b"], "invalid logging opts for driver none"),
    ],
)
def test_flags_that_contradict(words, message):
    with pytest.raises(CommandError) as caught:
        body(*words)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("all", {"Count": -1}),
        ("2", {"Count": 2}),
        ("count=3,driver=nvidia", {"Count": 3, "Driver": "nvidia"}),
        ('"device=0,1"', {"DeviceIDs": ["0", "1"]}),
        ("device=0,1", {"DeviceIDs": ["0"], "Count": 1}),
        ("driver=x", {"Driver": "x", "Count": 1}),
        ('all,"capabilities=utility,compute"', {"Count": -1, "Capabilities": [["utility", "compute", "gpu"]]}),
        ('1,"options=a=b,c"', {"Count": 1, "Options": {"a": "b", "c": ""}}),
    ],
)
def test_requests_for_gpus(text, request_):
    nothing = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    sent = body("--gpus", text, "--device", "vendor.com/class=name")["HostConfig"]["DeviceRequests"]
    assert sent == [{**nothing, **request_}, {"Driver": "cdi", "DeviceIDs": ["vendor.com/class=name"]}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "EOF"),
        ("count=x", 'invalid count (x): value must be either "all" or an integer: invalid syntax'),
        ("1_0", 'invalid count (1_0): value must be either "all" or an integer: invalid syntax'),
        ("foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("count=1,count=2", "gpu request key 'count' can be specified only once"),
    ],
)
def test_requests_for_gpus_that_are_none(text, words):
    with pytest.raises(CommandError) as caught:
        body("--gpus", text)
    assert str(caught.value) == f'invalid argument "{text}" for "--gpus" flag: {words}'


def test_input_that_is_attached_ends_with_its_client():
    made = body("-i")
    assert (made["OpenStdin"], made["AttachStdin"], made["StdinOnce"]) == (True, True, True)
    made = body("-i", "-a", "stdout")
    assert (made["AttachStdout"], made["AttachStderr"]) == (True, False)


def test_an_empty_entrypoint_resets_the_images():
    assert body()["Entrypoint"] is None
    assert body("--entrypoint=")["Entrypoint"] == [""]
    assert body("--entrypoint", "a b")["Entrypoint"] == ["a b"]


def test_proxies_are_set_where_the_user_set_none():
    given = Given(SHARED)
    given.values["env"] = ["HTTP_PROXY=mine"]
    made = spec.body(given, ["image"], {"default": {"httpProxy": "theirs", "noProxy": "x"}})
    assert made["Env"] == ["HTTP_PROXY=mine", "http_proxy=theirs", "NO_PROXY=x", "no_proxy=x"]
