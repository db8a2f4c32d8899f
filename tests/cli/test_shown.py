"""How times, sizes, names and tables look."""

import time

import pytest

from wherry.cli import human, moments, rows
from wherry.cli.errors import CommandError
from wherry.cli.rows_images import entries
from wherry.cli.table import aligned


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (179, "2 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations_have_one_unit(seconds, shown):
    assert human.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0B"), (999, "999B"), (1984000, "1.984MB"), (10**9, "1GB"), (1500, "1.5kB")]
)
def test_sizes(count, shown):
    assert human.size(count) == shown


def test_binary_sizes():
    assert human.size_binary(25276510208) == "23.54GiB"


def test_text_is_quoted_and_cut():
    assert human.quote('a"b\\\n\x01é') == '"a\\"b\\\\\\n\\x01é"'
    assert human.ellipsis("abcdef", 4) == "abc…"
    assert human.short_id("sha256:" + "a" * 64) == "a" * 12


def test_columns_are_ten_wide_with_three_between():
    assert (
        aligned([["A", "LONGER COLUMN", "C"], ["1", "2", ""]])
        == "A         LONGER COLUMN   C\n1         2               \n"
    )


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ([(80, 0, "")], "80/tcp"),
        ([(80, 8080, "0.0.0.0"), (80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([(n, n, "0.0.0.0") for n in (80, 81, 82)], "0.0.0.0:80-82->80-82/tcp"),
        ([(n, 0, "") for n in (80, 81, 90)], "80-81/tcp, 90/tcp"),
    ],
)
def test_ports_are_gathered_to_ranges(found, shown):
    ports = [{"PrivatePort": private, "PublicPort": public, "IP": ip, "Type": "tcp"} for private, public, ip in found]
    assert rows.ports(ports) == shown


def test_an_image_has_a_line_for_each_name():
    image = {"Id": "x", "RepoTags": ["a:1", "a:2", "b:1"], "RepoDigests": ["c@sha256:1"]}
    assert [(it["repository"], it["tag"]) for it in entries([image], digests=False)] == [
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
        ("c", "<none>"),
    ]
    assert [it["repository"] for it in entries([{"Id": "x", "RepoTags": None}], digests=True)] == ["<none>"]


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("", ""),
        ("1136073845", "1136073845"),
        ("1136073845.5", "1136073845.500000000"),
        ("2006-01-02T03:04:05Z", "1136171045.000000000"),
        ("2006-01-02T03:04:05.123456789Z", "1136171045.123456789"),
        ("2006-01-02T03:04:05+01:00", "1136167445.000000000"),
        ("2006-01-02T03:04Z", "1136171040.000000000"),
    ],
)
def test_moments(text, unix):
    assert moments.unix(text) == unix


def test_a_duration_is_so_long_ago():
    assert abs(float(moments.unix("10m")) - (time.time() - 600)) < 60


def test_moments_that_are_none():
    with pytest.raises(
        CommandError, match='invalid value for "since": failed to parse value as time or duration: "abc"'
    ):
        moments.unix("abc", "since")
