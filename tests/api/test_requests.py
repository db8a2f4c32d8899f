"""What older clients mean, and how registries are named."""

import pytest

from wherry.api.detachkeys import DEFAULT, detach_key_bytes
from wherry.api.requests import create_request, registry_domain
from wherry.api.versions import NEWEST, Version
from wherry.model.errors import InvalidParameter


def host_config(version, **said):
    host = create_request({"Image": "x", "HostConfig": said}, version).host_config
    assert host is not None
    return host


def test_fields_count_from_the_version_that_brought_them():
    bind = {"Type": "bind", "BindOptions": {"NonRecursive": True, "CreateMountpoint": True}}
    said = {
        "ConsoleSize": [1, 2], "KernelMemory": 6, "KernelMemoryTCP": 7, "Annotations": {"a": "b"}, "Mounts": [bind],
    }  # fmt: skip
    newest, middle, oldest = (host_config(version, **said) for version in (NEWEST, Version(1, 41), Version(1, 39)))
    assert (newest.console_size, newest.kernel_memory, newest.annotations) == ((1, 2), 0, {"a": "b"})
    assert (middle.console_size, middle.kernel_memory, middle.annotations) == ((0, 0), 6, None)
    assert (middle.kernel_memory_tcp, oldest.kernel_memory_tcp) == (7, 0)
    options = [host.mounts[0].bind_options for host in (newest, middle, oldest) if host.mounts]
    assert [(each.non_recursive, each.create_mountpoint) for each in options if each] == [
        (True, True),
        (True, False),
        (False, False),
    ]


def test_defaults_are_those_of_the_version():
    assert (host_config(Version(1, 39)).ipc_mode, host_config(Version(1, 40)).ipc_mode) == ("shareable", "")
    assert (host_config(Version(1, 40)).cgroupns_mode, host_config(Version(1, 41)).cgroupns_mode) == ("host", "")
    assert host_config(Version(1, 39), IpcMode="host").ipc_mode == "host"


def test_a_limit_of_no_processes_is_no_limit():
    assert host_config(NEWEST, PidsLimit=0).pids_limit is None
    assert host_config(NEWEST, PidsLimit=-1).pids_limit is None
    assert host_config(NEWEST, PidsLimit=5).pids_limit == 5


def test_a_start_interval_is_known_since_1_44():
    said = {"Image": "x", "Healthcheck": {"Test": ["NONE"], "StartInterval": 5}}
    found = [create_request(said, version).healthcheck for version in (NEWEST, Version(1, 43))]
    assert [check.start_interval for check in found if check] == [5, 0]


def test_an_image_mount_needs_a_version_that_knows_it():
    with pytest.raises(InvalidParameter, match=r'^Mount type "Image" needs API v1\.48 or newer$'):
        host_config(Version(1, 47), Mounts=[{"Type": "image"}])


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", DEFAULT), ("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-@,ctrl-[,ctrl-_,x", b"\0\x1b\x1fx")],
)
def test_detach_keys_are_what_a_terminal_sends(text, keys):
    assert detach_key_bytes(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-", "ctrl-1", "a,,b", "ctrl-pp", "ä"])
def test_keys_that_do_not_exist_are_refused(text):
    with pytest.raises(ValueError, match="Unknown character"):
        detach_key_bytes(text)


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry.example:5000", "registry.example:5000"),
        ("https://registry.example/v2/", "registry.example"),
        ("user:secret@registry.example:5000/x?y#z", "registry.example:5000"),
        ("http://[::1]:5000/", "[::1]:5000"),
    ],
)
def test_a_server_address_names_a_registry(address, domain):
    assert registry_domain(address) == domain


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://[", "unable to parse server address: parse \"http://[\": missing ']' in host"),
        ("a b", 'unable to parse server address: parse "https://a b": invalid character " " in host name'),
        ("a%20b", 'unable to parse server address: parse "https://a%20b": invalid URL escape "%20"'),
        ("host:x", 'unable to parse server address: parse "https://host:x": invalid port ":x" after host'),
        ("host:-1", 'unable to parse server address: parse "https://host:-1": invalid port ":-1" after host'),
        ("\n", 'unable to parse server address: parse "https://\\n": net/url: invalid control character in URL'),
        ("http://", 'Get "https:///v2/": http: no Host in request URL'),
    ],
)
def test_an_address_that_is_none_is_refused_in_the_words_of_go(address, words):
    with pytest.raises(InvalidParameter) as refused:
        registry_domain(address)
    assert str(refused.value) == words
