"""Options of log drivers are taken, and refused, as dockerd 28.5 was seen to do it."""

import pytest

from wherry.bootstrap.house import LOG_DRIVERS
from wherry.logs.driver import Keeping
from wherry.logs.durations import parse_duration
from wherry.logs.subject import Subject
from wherry.logs.tags import tag_of
from wherry.model.errors import InvalidParameter

DRIVERS = {driver.name: driver for driver in LOG_DRIVERS}
UDP, TCP = "udp://127.0.0.1:12201", "tcp://127.0.0.1:1"
WRONG_ADDRESS = "invalid fluentd-address"
BAD_BOOL = 'strconv.ParseBool: parsing "x": invalid syntax'

AT_CREATE = [
    ("json-file", {"foo": "1"}, "unknown log opt 'foo' for json-file log driver"),
    ("json-file", {"mode": "x"}, "logger: logging mode not supported: x"),
    (
        "json-file",
        {"max-buffer-size": "4m"},
        "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    ),
    (
        "json-file",
        {"mode": "non-blocking", "max-buffer-size": "x"},
        "error parsing option max-buffer-size: invalid size: 'x'",
    ),
    ("json-file", {"cache-disabled": "x"}, "invalid value for option cache-disabled: x"),
    ("local", {"foo": "1"}, "unknown log opt 'foo' for log driver local"),
    ("syslog", {"foo": "1"}, "unknown log opt 'foo' for syslog log driver"),
    ("syslog", {"cache-foo": "x"}, "unknown log opt 'cache-foo' for syslog log driver"),
    ("syslog", {"syslog-address": "x"}, "unsupported scheme: ''"),
    ("syslog", {"syslog-address": "foo://x"}, "unsupported scheme: 'foo'"),
    ("syslog", {"syslog-address": "unix:///nonexistent"}, "stat /nonexistent: no such file or directory"),
    ("syslog", {"syslog-facility": "x"}, "invalid syslog facility"),
    ("syslog", {"syslog-facility": "25"}, "invalid syslog facility"),
    ("syslog", {"syslog-format": "x"}, "Invalid syslog format"),
    (
        "syslog",
        {"syslog-address": "udp://127.0.0.1:xx"},
        'parse "udp://127.0.0.1:xx": invalid port ":xx" after host',
    ),
    ("syslog", {"syslog-address": "tcp://[::1"}, "parse \"tcp://[::1\": missing ']' in host"),
    ("journald", {"foo": "1"}, "unknown log opt 'foo' for journald log driver"),
    ("fluentd", {"foo": "1"}, "unknown log opt 'foo' for fluentd log driver"),
    ("fluentd", {"fluentd-address": "foo://x"}, f"{WRONG_ADDRESS} (foo://x): unsupported scheme: 'foo'"),
    (
        "fluentd",
        {"fluentd-address": "127.0.0.1:xx"},
        f'{WRONG_ADDRESS} (127.0.0.1:xx): parse "tcp://127.0.0.1:xx": invalid port ":xx" after host',
    ),
    (
        "fluentd",
        {"fluentd-address": "tcp://h:1/path"},
        f"{WRONG_ADDRESS} (tcp://h:1/path): should not contain a path element",
    ),
    ("fluentd", {"fluentd-address": "unix://"}, f"{WRONG_ADDRESS} (unix://): path is empty"),
    (
        "fluentd",
        {"fluentd-address": "udp://127.0.0.1:1"},
        f"{WRONG_ADDRESS} (udp://127.0.0.1:1): unsupported scheme: 'udp'",
    ),
    ("fluentd", {"fluentd-async": "x"}, BAD_BOOL),
    ("fluentd", {"fluentd-async-connect": "true"}, "unknown log opt 'fluentd-async-connect' for fluentd log driver"),
    ("fluentd", {"fluentd-buffer-limit": "x"}, "invalid size: 'x'"),
    ("fluentd", {"fluentd-retry-wait": "x"}, 'time: invalid duration "x"'),
    ("fluentd", {"fluentd-max-retries": "x"}, 'strconv.ParseUint: parsing "x": invalid syntax'),
    ("fluentd", {"fluentd-request-ack": "x"}, BAD_BOOL),
    ("fluentd", {"fluentd-sub-second-precision": "x"}, BAD_BOOL),
    (
        "fluentd",
        {"fluentd-async-reconnect-interval": "x"},
        'invalid value for fluentd-async-reconnect-interval: time: invalid duration "x"',
    ),
    (
        "fluentd",
        {"fluentd-async-reconnect-interval": "1ms"},
        'invalid value for fluentd-async-reconnect-interval: value ("1ms") must be between 100ms and 10s',
    ),
    (
        "fluentd",
        {"fluentd-write-timeout": "x"},
        'invalid value for fluentd-write-timeout: value must be a duration: time: invalid duration "x"',
    ),
    ("gelf", {"foo": "1"}, "gelf-address is a required parameter"),
    ("gelf", {}, "gelf-address is a required parameter"),
    ("gelf", {"gelf-address": "x"}, "gelf: endpoint needs to be TCP or UDP"),
    ("gelf", {"gelf-address": "http://x:1"}, "gelf: endpoint needs to be TCP or UDP"),
    ("gelf", {"gelf-address": "udp://x"}, "gelf: please provide gelf-address as proto://host:port"),
    (
        "gelf",
        {"gelf-address": UDP, "gelf-compression-type": "x"},
        'unknown value "x" for log opt "gelf-compression-type" for gelf log driver',
    ),
    (
        "gelf",
        {"gelf-address": UDP, "gelf-compression-level": "11"},
        'unknown value "11" for log opt "gelf-compression-level" for gelf log driver',
    ),
    ("gelf", {"gelf-address": TCP, "gelf-compression-type": "gzip"}, "compression is only supported on UDP"),
    ("gelf", {"gelf-address": TCP, "gelf-compression-level": "1"}, "compression is only supported on UDP"),
    ("gelf", {"gelf-address": UDP, "gelf-tcp-max-reconnect": "1"}, '"gelf-tcp-max-reconnect" is only valid for TCP'),
    (
        "gelf",
        {"gelf-address": TCP, "gelf-tcp-max-reconnect": "x"},
        '"gelf-tcp-max-reconnect" must be a positive integer',
    ),
    (
        "gelf",
        {"gelf-address": TCP, "gelf-tcp-reconnect-delay": "-1"},
        '"gelf-tcp-reconnect-delay" must be a positive integer',
    ),
]

AT_START = [
    ("json-file", {"max-size": "x"}, "invalid size: 'x'"),
    ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
    ("json-file", {"max-size": "10k", "max-file": "0"}, "max-file cannot be less than 1"),
    ("json-file", {"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
    ("json-file", {"compress": "x"}, BAD_BOOL),
    (
        "json-file",
        {"compress": "true"},
        "compress cannot be true when max-file is less than 2 or max-size is not set",
    ),
    ("local", {"max-size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
    ("local", {"max-file": "x"}, 'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax'),
    ("local", {"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
    ("local", {"max-file": "-1"}, "max file count cannot be less than 0"),
    ("local", {"compress": "x"}, f"error reading compress log option: {BAD_BOOL}"),
    ("syslog", {"cache-max-size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
]

TAKEN = [
    ("json-file", {"mode": "non-blocking", "max-buffer-size": "4m"}),
    ("json-file", {"max-size": "10k", "max-file": "3", "compress": "true", "cache-disabled": "true"}),
    ("none", {"foo": "1"}),
    ("syslog", {"syslog-address": "tcp+tls://127.0.0.1:1", "syslog-tls-skip-verify": "zz", "mode": "blocking"}),
    ("syslog", {"syslog-address": "udp://[::1]", "syslog-facility": "local7", "syslog-format": "rfc5424micro"}),
    ("journald", {"tag": "{{.Name}}", "labels": "a"}),
    ("fluentd", {"fluentd-address": "tls://127.0.0.1:1", "fluentd-write-timeout": "", "fluentd-retry-wait": "1m30s"}),
    ("gelf", {"gelf-address": TCP, "gelf-tcp-max-reconnect": "3", "gelf-tcp-reconnect-delay": "1"}),
]


@pytest.mark.parametrize(("name", "options", "words"), AT_CREATE)
def test_what_is_wrong_is_said_at_create(name, options, words):
    with pytest.raises(InvalidParameter) as caught:
        DRIVERS[name].check(options)
    assert str(caught.value) == words


@pytest.mark.parametrize(("name", "options", "words"), AT_START)
def test_values_that_are_read_late_are_refused_at_start(name, options, words):
    DRIVERS[name].check(options)
    with pytest.raises(InvalidParameter) as caught:
        DRIVERS[name].keeping(options)
    assert str(caught.value) == words


@pytest.mark.parametrize(("name", "options"), TAKEN)
def test_what_dockerd_takes_is_taken(name, options):
    DRIVERS[name].check(options)
    DRIVERS[name].keeping(options)


def test_rotation_is_what_the_options_say():
    assert DRIVERS["json-file"].keeping({"max-size": "10k"}) == Keeping(format="json-file", bytes_max=10_000)
    assert DRIVERS["json-file"].keeping({"max-size": "-1"}) == Keeping(format="json-file")
    whole = Keeping(format="local", bytes_max=20_000_000, files_max=5, compress=True)
    assert DRIVERS["local"].keeping({}) == DRIVERS["syslog"].keeping({"max-size": "1"}) == whole
    small = {"cache-max-size": "1m", "cache-max-file": "1", "cache-compress": "false"}
    assert DRIVERS["gelf"].keeping(small) == Keeping(format="local", bytes_max=1_000_000)


def test_a_sender_whose_certificates_cannot_be_read_says_which():
    options = {"syslog-address": "tcp+tls://127.0.0.1:1", "syslog-tls-ca-cert": "/nonexistent"}
    with pytest.raises(InvalidParameter) as caught:
        DRIVERS["syslog"].sender(Subject(id="a" * 64, name="x", options=options))
    words = 'could not read CA certificate "/nonexistent": open /nonexistent: no such file or directory'
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("", "aaaaaaaaaaaa"),
        ("{{.ID}}/{{.FullID}}", f"{'a' * 12}/{'a' * 64}"),
        ("{{.Name}} {{.ContainerName}} {{upper .Name}}", "n /n N"),
        ("{{.ImageName}} {{.ImageID}} {{.ImageFullID}}", f"bb sha256:1304a sha256:1304a{'c' * 59}"),
        ("{{.DaemonName}} {{.Hostname}} {{.Command}}", "docker vm /bin/sh -c x"),
        ("{{.ContainerArgs}} {{.ContainerEntrypoint}} {{json .ContainerEnv}}", '[-c x] /bin/sh ["E1=v1"]'),
        ("{{.ContainerCreated}} {{.ContainerLabels}}", "2026-11-21 10:31:13.928521752 +0000 UTC map[la:1]"),
        ("{{.ExtraAttributes nil}}", "map[la:1]"),
    ],
)
def test_tags_are_templates_over_dockerds_fields(template, tag):
    subject = Subject(
        id="a" * 64,
        name="n",
        command=("/bin/sh", "-c", "x"),
        image_id=f"sha256:1304a{'c' * 59}",
        image_name="bb",
        created_ns=1795257073928521752,
        env=("E1=v1",),
        labels={"la": "1"},
        options={"tag": template, "labels": "la"},
        host_name="vm",
    )
    assert tag_of(subject) == tag


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("1s", 1), ("1m30s", 90), ("100ms", 0.1), ("-2h", -7200), ("1.5s", 1.5), (".5m", 30)],
)
def test_durations_are_gos(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", 'invalid duration ""'), ("5", 'missing unit in duration "5"'), ("5x", 'invalid duration "5x"')],
)
def test_durations_that_are_none(text, words):
    with pytest.raises(InvalidParameter, match=words):
        parse_duration(text)
