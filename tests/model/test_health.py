"""What a probe's result makes of a container's health, and when the next one is due."""

import pytest

from wherry.model.clock import go_duration
from wherry.model.config import Config, Healthcheck
from wherry.model.health import (
    Health,
    HealthStatus,
    ProbeResult,
    after_probe,
    at_start,
    pause_ns,
    probe_command,
    unwatched,
)

SECOND = 10**9
CHECK = Healthcheck(test=("CMD", "x"), retries=2, start_period=10 * SECOND)


def result(code, at=20):
    return ProbeResult(start_ns=at * SECOND, end_ns=at * SECOND + 1, exit_code=code, output="")


def after(health, *codes, check=CHECK, at=20):
    for code in codes:
        health = after_probe(health, check, result(code, at), started_ns=0)
    return health


@pytest.mark.parametrize(
    ("codes", "status", "streak"),
    [
        ((0,), HealthStatus.HEALTHY, 0),
        ((1,), HealthStatus.STARTING, 1),
        ((1, -1), HealthStatus.UNHEALTHY, 2),
        ((0, 1), HealthStatus.HEALTHY, 1),
        ((0, 1, 1), HealthStatus.UNHEALTHY, 2),
        ((1, 1, 1, 0), HealthStatus.HEALTHY, 0),
    ],
)
def test_a_number_of_failures_in_a_row_is_unhealthy_and_one_success_healthy(codes, status, streak):
    health = after(Health(), *codes)
    assert (health.status, health.failing_streak) == (status, streak)


def test_failures_in_the_start_period_count_only_after_a_success():
    assert after(Health(), 1, 1, 1, at=9).failing_streak == 0
    assert after(Health(), 0, 1, 1, at=9).status is HealthStatus.UNHEALTHY


def test_without_a_number_three_failures_are_enough_and_five_results_are_kept():
    plain = Healthcheck(test=("CMD", "x"))
    assert after(Health(), 1, 1, check=plain).status is HealthStatus.STARTING
    assert after(Health(), 1, 1, 1, check=plain).status is HealthStatus.UNHEALTHY
    assert len(after(Health(), *range(9), check=plain).results) == 5


def test_a_start_forgets_all_but_the_results_and_an_end_is_unhealthy():
    old = after(Health(), 1, 1)
    assert at_start(Config(healthcheck=CHECK), old) == Health(results=old.results)
    assert at_start(Config(), old) is None
    assert unwatched(after(Health(), 0)).status is HealthStatus.UNHEALTHY
    assert unwatched(None) is None


def test_the_next_probe_comes_after_the_interval_or_sooner_at_the_start():
    healthy = Health(status=HealthStatus.HEALTHY)
    said = Healthcheck(test=("CMD",), interval=7, start_period=10 * SECOND, start_interval=3)
    assert pause_ns(Health(), said, age_ns=SECOND) == 3
    assert pause_ns(Health(), said, age_ns=10 * SECOND) == 7
    assert pause_ns(healthy, said, age_ns=SECOND) == 7
    assert pause_ns(healthy, CHECK, age_ns=SECOND) == 30 * SECOND
    assert pause_ns(Health(), CHECK, age_ns=SECOND) == 5 * SECOND


@pytest.mark.parametrize(
    ("test", "command"),
    [
        (None, ()),
        ((), ()),
        (("NONE",), ()),
        (("ODD", "x"), ()),
        (("CMD",), ()),
        (("CMD", "a", "b c"), ("a", "b c")),
        (("CMD-SHELL", "a | b"), ("/bin/sh", "-c", "a | b")),
    ],
)
def test_what_is_executed(test, command):
    assert probe_command(Config(healthcheck=Healthcheck(test=test))) == command


def test_the_shell_is_the_configurations():
    config = Config(healthcheck=Healthcheck(test=("CMD-SHELL", "a")), shell=("bash", "-ec"))
    assert probe_command(config) == ("bash", "-ec", "a")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (1500, "1.5µs"), (300_000_000, "300ms"), (1_500_000_000, "1.5s"),
        (90 * SECOND, "1m30s"), (3600 * SECOND, "1h0m0s"), (3661 * SECOND + 5 * 10**8, "1h1m1.5s"), (-SECOND, "-1s"),
    ],
)  # fmt: skip
def test_a_duration_is_said_as_go_says_it(nanoseconds, text):
    assert go_duration(nanoseconds) == text
