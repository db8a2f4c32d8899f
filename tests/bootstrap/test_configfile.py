"""daemon.json: dockerd's keys, its strictness and its words."""

import json

import pytest

from wherry.bootstrap.configfile import parse_config, read_config
from wherry.bootstrap.flags import FlagError
from wherry.bootstrap.options import FLAGS


def read(value, said=None):
    text = value if isinstance(value, str) else json.dumps(value)
    return parse_config(text, FLAGS, said or {})


def test_every_kind_of_value_is_read():
    assert read(
        {
            "debug": True,
            "hosts": ["unix:///x.sock"],
            "labels": ["a=b"],
            "mtu": 1400,
            "log-driver": "json-file",
            "log-opts": {"max-size": "1m"},
            "default-shm-size": "128m",
            "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 2, "Soft": 1}},
            "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
            "insecure-registries": ["r:5000"],
            "proxies": {"http-proxy": "http://p"},
            "group": None,
        }
    ) == {
        "debug": True,
        "host": ["unix:///x.sock"],
        "label": ["a=b"],
        "mtu": 1400,
        "log-driver": "json-file",
        "log-opt": {"max-size": "1m"},
        "default-shm-size": 128 * 1024 * 1024,
        "default-ulimit": {"nofile": (1, 2)},
        "default-address-pool": [("10.0.0.0/8", 24)],
        "insecure-registry": ["r:5000"],
        "http-proxy": "http://p",
    }
    assert read("") == {}


REFUSED = [
    ({"nosuch": 1, "other": 2}, "the following directives don't match any configuration option: nosuch, other"),
    ({"http-proxy": "x"}, "the following directives don't match any configuration option: http-proxy"),
    ({"debug": "x"}, "invalid JSON: json: cannot unmarshal string into Go struct field Config.debug of type bool"),
    ({"mtu": "x"}, "invalid JSON: json: cannot unmarshal string into Go struct field Config.mtu of type int"),
    (
        {"log-opts": {"a": 1}},
        "invalid JSON: json: cannot unmarshal number into Go struct field Config.log-opts.a of type string",
    ),
    (
        {"labels": "a=b"},
        "invalid JSON: json: cannot unmarshal string into Go struct field Config.labels of type []string",
    ),
    ("{x", "invalid JSON: invalid character 'x' looking for beginning of object key string"),
    ("[]", "invalid JSON: json: cannot unmarshal array into Go value of type config.Config"),
    ({"dns": ["x"]}, "invalid value for dns: invalid string being converted to IP address: x"),
]


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be_is_refused_in_words_people_know(value, words):
    with pytest.raises(FlagError) as refused:
        read(value)
    assert str(refused.value) == words


def test_an_option_is_said_in_one_place_only():
    with pytest.raises(FlagError) as refused:
        read(
            {"debug": True, "labels": ["a=b"], "data-root": "/x"}, {"debug": True, "label": ["x=y"], "data-root": "/y"}
        )
    assert str(refused.value) == (
        "the following directives are specified both as a flag and in the configuration file: "
        "data-root: (from flag: /y, from file: /x), debug: (from flag: true, from file: true), "
        "labels: (from flag: [x=y], from file: [a=b])"
    )


def test_only_a_file_that_was_asked_for_must_exist(tmp_path):
    missing = tmp_path / "daemon.json"
    assert read_config(missing, FLAGS, {}, must_exist=False) == {}
    with pytest.raises(FlagError, match=rf"unable to configure the Wherry daemon with file {missing}: .*no such file"):
        read_config(missing, FLAGS, {}, must_exist=True)
