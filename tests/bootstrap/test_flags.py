"""The command line: pflag's syntax, dockerd's words (taken down from dockerd 28.5)."""

import pytest

from wherry.bootstrap.flags import FlagError, parse_arguments
from wherry.bootstrap.options import FLAGS, SERVED, refuse_unserved, usage


def said(line: str):
    return parse_arguments(FLAGS, line.split())


def test_values_are_given_in_every_way_that_pflag_knows():
    expected = {"debug": True, "host": ["unix:///a", "tcp://127.0.0.1:1"], "mtu": 1400, "group": "adm"}
    assert said("-D -H unix:///a --host tcp://127.0.0.1:1 --mtu=1400 -G adm") == expected
    assert said("-DHunix:///a --host=tcp://127.0.0.1:1 --mtu 1400 --group=adm") == expected
    assert said("--debug=false -D=t") == {"debug": True}


def test_lists_and_maps_collect():
    collected = said("--label a=b --label c=d --log-opt x=1 --log-opt y=2 --default-ulimit nofile=1:2")
    assert collected["label"] == ["a=b", "c=d"]
    assert collected["log-opt"] == {"x": "1", "y": "2"}
    assert collected["default-ulimit"] == {"nofile": (1, 2)}
    assert said("--default-address-pool base=10.0.0.0/8,size=24")["default-address-pool"] == [("10.0.0.0/8", 24)]
    assert said("--default-shm-size 64m")["default-shm-size"] == 64 * 1024 * 1024


REFUSED = {
    "--nosuch": "unknown flag: --nosuch",
    "-z": "unknown shorthand flag: 'z' in -z",
    "--group": "flag needs an argument: --group",
    "-H": "flag needs an argument: 'H' in -H",
    "extra": '"wherryd" accepts no arguments, but was given "extra"',
    "--mtu=x": 'invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax',
    "--debug=maybe": (
        'invalid argument "maybe" for "-D, --debug" flag: strconv.ParseBool: parsing "maybe": invalid syntax'
    ),
    "--dns=x": 'invalid argument "x" for "--dns" flag: invalid string being converted to IP address: x',
    "--ip=x": 'invalid argument "x" for "--ip" flag: failed to parse IP: "x"',
    "--label=foo": 'invalid argument "foo" for "--label" flag: bad attribute format: foo',
    "--default-ulimit=x": 'invalid argument "x" for "--default-ulimit" flag: invalid ulimit argument: x',
    "--default-shm-size=x": 'invalid argument "x" for "--default-shm-size" flag: invalid size: \'x\'',
    "--dns-search=..": 'invalid argument ".." for "--dns-search" flag: .. is not a valid domain',
    "--registry-mirror=x": (
        'invalid argument "x" for "--registry-mirror" flag: '
        "invalid mirror: no scheme specified for \"x\": must use either 'https://' or 'http://'"
    ),
    "-H foo://x": (
        'invalid argument "foo://x" for "-H, --host" flag: invalid bind address (foo://x): unsupported proto \'foo\''
    ),
    "-H tcp://x:y": (
        'invalid argument "tcp://x:y" for "-H, --host" flag: '
        'invalid bind address (tcp://x:y): parse "tcp://x:y": invalid port ":y" after host'
    ),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_is_refused_in_words_people_know(line):
    with pytest.raises(FlagError) as refused:
        said(line)
    assert str(refused.value) == REFUSED[line]


@pytest.mark.parametrize(
    "line",
    ["--userns-remap=default", "--iptables=false", "--live-restore=false", "--ipv6", "--rootless", "--storage-opt x"],
)
def test_options_that_are_not_served_are_refused_by_name(line):
    with pytest.raises(FlagError, match=line.lstrip("-").split("=")[0].split()[0]):
        refuse_unserved(said(line))


def test_switches_that_say_what_is_so_anyway_are_fine():
    refuse_unserved(said("--iptables=true --live-restore --ipv6=false"))


def test_help_names_every_option_that_is_served():
    text = usage()
    assert all(f"--{flag.name}" in text for flag in SERVED)
    assert "userns-remap" not in text
    assert max(map(len, text.splitlines())) < 160
