"""The filters of `docker ps`: which containers match (moby `daemon/list.go`)."""

from collections.abc import Callable

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.request.filters import Filters
from wherry.engine.request.ports import parse_port
from wherry.images.find import find as find_image
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter, NotFound
from wherry.model.health import HealthStatus
from wherry.model.state import Status

ACCEPTED = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network",
    "publish", "since", "status", "volume",
)  # fmt: skip


_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = tuple(HealthStatus)
_NO_HEALTH = HealthStatus.NONE

_Test = Callable[[Container], bool]
_Ports = tuple[range, str]


def matcher(engine: Engine, wanted: Filters) -> Callable[[Container], bool]:
    """One function that says whether a container matches all filters; what needs a look-up is looked up once."""
    _check_values(wanted)
    tests: list[_Test] = [test for names, test in _tests(engine, wanted) if any(name in wanted for name in names)]
    return lambda container: all(test(container) for test in tests)


def _tests(engine: Engine, wanted: Filters) -> tuple[tuple[tuple[str, ...], _Test], ...]:
    """What each filter asks of a container."""
    ancestors = _ancestors(engine, wanted)
    before = _creation(engine, wanted, "before")
    since = _creation(engine, wanted, "since")
    published, exposed = _ports(wanted, "publish"), _ports(wanted, "expose")
    exits = {_exit_code(text) for text in wanted.values("exited")}
    return (
        (("id",), lambda one: wanted.starts("id", one.id)),
        (("name",), lambda one: _name_matches(wanted, one)),
        (("label",), lambda one: wanted.labels(one.config.labels or {})),
        (("status",), lambda one: wanted.has("status", one.state.status)),
        (("exited",), lambda one: _has_exited(one, exits)),
        (("ancestor",), lambda one: ancestors is None or _descends(one, ancestors)),
        (("before",), lambda one: before is None or one.created_ns < before),
        (("since",), lambda one: since is None or one.created_ns > since),
        (("volume",), lambda one: wanted.has_any("volume", _volume_names(one))),
        (("network",), lambda one: wanted.has_any("network", _network_names(one))),
        (("publish", "expose"), lambda one: _has_port(one, published, exposed)),
        (("is-task",), lambda _: wanted.truth("is-task") is not True),
        (("health",), lambda one: wanted.has("health", one.state.health.status if one.state.health else _NO_HEALTH)),
    )


def _check_values(wanted: Filters) -> None:
    for status in wanted.values("status"):
        if status not in _STATES:
            known = ", ".join(_STATES)
            words = f"invalid value for state ({status}): must be one of {known}"
            raise InvalidParameter(f"invalid filter 'status={status}': {words}")
    for health in wanted.values("health"):
        if health not in _HEALTH:
            known = ", ".join(_HEALTH)
            words = f"invalid value for health ({health}): must be one of {known}"
            raise InvalidParameter(f"invalid filter 'health={health}': {words}")


def _exit_code(text: str) -> int:
    if not text.lstrip("-").isdecimal():
        raise InvalidParameter(f"invalid filter 'exited={text}': strconv.Atoi: parsing \"{text}\": invalid syntax")
    return int(text)


def _ancestors(engine: Engine, wanted: Filters) -> set[str] | None:
    """Ids of the images that were named and of what was committed from them; None where the filter was not given.

    Unknown ones match nothing.
    """
    if "ancestor" not in wanted:
        return None
    found: set[str] = set()
    for name in wanted.values("ancestor"):
        try:
            found.add(find_image(engine.library, name).id)
        except (NotFound, InvalidParameter):
            continue
    images = engine.library.images.values()
    while children := {image.id for image in images if image.parent in found} - found:
        found |= children
    return found


def _descends(container: Container, ancestors: set[str]) -> bool:
    return container.image_id in ancestors


def _creation(engine: Engine, wanted: Filters, name: str) -> int | None:
    values = wanted.values(name)
    return find(engine, values[-1]).created_ns if values else None


def _name_matches(wanted: Filters, container: Container) -> bool:
    # A pattern may be written with the leading slash that names have in the API.
    return wanted.matches("name", container.name) or wanted.matches("name", f"/{container.name}")


def _has_exited(container: Container, codes: set[int]) -> bool:
    return container.state.status is Status.EXITED and container.state.exit_code in codes


def _volume_names(container: Container) -> list[str]:
    return [part for mount in container.mounts for part in (mount.name, mount.source, mount.destination) if part]


def _network_names(container: Container) -> list[str]:
    endpoints = container.attachment.endpoints if container.attachment else ()
    joined = [part for endpoint in endpoints for part in (endpoint.network_id, endpoint.network_name)]
    return [*joined, container.host_config.network_mode]


def _has_port(container: Container, published: list[_Ports], exposed: list[_Ports]) -> bool:
    """Whether a port that it has now is published as wanted, by the host's number, or exposed as wanted."""
    attachment = container.attachment
    if attachment is None or not any(endpoint.ip_address for endpoint in attachment.endpoints):
        return False
    outside = {(port.host_port, port.protocol) for port in attachment.ports}
    inside = {(port.container_port, port.protocol) for port in attachment.ports}
    inside |= {parse_port(port) for port in container.config.exposed_ports or {}}
    return any(kind == said and number in span for number, kind in outside for span, said in published) or any(
        kind == said and number in span for number, kind in inside for span, said in exposed
    )


def _ports(wanted: Filters, name: str) -> list[_Ports]:
    """`80`, `80/udp`, `80-90/tcp` as numbers and protocol. Raises InvalidParameter."""
    found = []
    for text in wanted.values(name):
        span, _, protocol = text.partition("/")
        first, dash, last = span.partition("-")
        low = _port(name, text, first)
        found.append((range(low, (_port(name, text, last) if dash else low) + 1), protocol or "tcp"))
    return found


def _port(name: str, whole: str, text: str) -> int:
    if not text.isdecimal():
        words = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise InvalidParameter(f"error while looking up for {name} {whole}: {words}")
    return int(text)
