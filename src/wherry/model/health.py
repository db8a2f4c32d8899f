"""Health as Docker has it: what a container's probes have shown, and what the next result makes of it."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from wherry.model.config import Config, Healthcheck

# moby daemon/health.go: what is in force where neither the user nor the image says anything, and what is kept.
INTERVAL_NS = TIMEOUT_NS = 30_000_000_000
START_INTERVAL_NS = 5_000_000_000
RETRIES = 3
RESULTS_MAX = 5
SHELL = ("/bin/sh", "-c")


class HealthStatus(StrEnum):
    """The values of the API's `State.Health.Status`; `none` is only said by filters."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class ProbeResult(Struct, frozen=True, kw_only=True):
    """One probe. Times in nanoseconds since the epoch; exit code 0 is good, -1 one that could not run or finish."""

    start_ns: int
    end_ns: int
    exit_code: int
    output: str


class Health(Struct, frozen=True, kw_only=True):
    """What is known of a container's health: the failures in a row, and the newest results, oldest first."""

    status: HealthStatus = HealthStatus.STARTING
    failing_streak: int = 0
    results: tuple[ProbeResult, ...] = ()


def probe_command(config: Config) -> tuple[str, ...]:
    """What a probe executes, empty where there is no health check: none, switched off, or of an unknown kind."""
    kind, *words = (config.healthcheck and config.healthcheck.test) or ("",)
    match kind:
        case "CMD":
            return tuple(words)
        case "CMD-SHELL":
            return (*(config.shell or SHELL), *words)
        case _:
            return ()


def at_start(config: Config, before: Health | None) -> Health | None:
    """The health of a container that starts: nothing is known, but what the last run's probes said is kept."""
    if not probe_command(config):
        return None
    return Health(results=before.results if before else ())


def unwatched(health: Health | None) -> Health | None:
    """The health of a container that ends or is frozen: nobody looks any more, and Docker calls that unhealthy."""
    return health and replace(health, status=HealthStatus.UNHEALTHY)


def after_probe(health: Health, check: Healthcheck, result: ProbeResult, *, started_ns: int) -> Health:
    """What a probe's result makes of it. Failures within the start period do not count until one was good."""
    results = (*health.results, result)[-RESULTS_MAX:]
    if result.exit_code == 0:
        return Health(status=HealthStatus.HEALTHY, results=results)
    is_young = result.start_ns - started_ns < check.start_period
    if health.status is HealthStatus.STARTING and is_young:
        return replace(health, results=results)
    streak = health.failing_streak + 1
    given_up = streak >= (check.retries if check.retries > 0 else RETRIES)
    status = HealthStatus.UNHEALTHY if given_up else health.status
    return Health(status=status, failing_streak=streak, results=results)


def pause_ns(health: Health | None, check: Healthcheck, *, age_ns: int) -> int:
    """How long to wait before the next probe of a container that was started `age_ns` ago."""
    starting = health is None or health.status is HealthStatus.STARTING
    if starting and age_ns < check.start_period:
        return check.start_interval or START_INTERVAL_NS
    return check.interval or INTERVAL_NS
