"""`GET /containers/{id}/json`: a container's record with what is looked up for it."""

from dataclasses import dataclass
from pathlib import Path

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.joining import owner_of_files
from wherry.engine.links import links_shown
from wherry.engine.log_plan import log_path
from wherry.engine.sizes import Sizes, sizes_of
from wherry.model.container import Container
from wherry.model.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A container and what inspect shows beside its record.

    Paths are on the host, empty until the first start; `sizes` only when asked for.
    """

    container: Container
    exec_ids: tuple[str, ...]
    log_path: str
    resolv_conf_path: str
    hostname_path: str
    hosts_path: str
    graph_driver: str
    graph_data: dict[str, str]
    sizes: Sizes | None = None
    links: tuple[str, ...] = ()


async def inspect(engine: Engine, name: str, *, size: bool = False) -> Inspection:
    """Everything of a container. Raises NotFound."""
    container = find(engine, name)
    files = str(_files_of(engine, container))
    was_started = container.state.started_ns > 0
    has_snapshot = engine.storage.exists(container.id)
    has_log = container.host_config.log_config.type == "json-file"
    running_execs = (live.record for live in engine.execs.values() if live.record.container_id == container.id)
    return Inspection(
        container=container,
        exec_ids=tuple(record.id for record in running_execs if record.running or record.exit_code is None),
        log_path=str(log_path(engine, container)) if was_started and has_log else "",
        resolv_conf_path=f"{files}/resolv.conf" if was_started else "",
        hostname_path=f"{files}/hostname" if was_started else "",
        hosts_path=f"{files}/hosts" if was_started else "",
        graph_driver=engine.storage.name,
        graph_data={"ID": container.id, **engine.storage.describe(container.id)} if has_snapshot else {},
        sizes=await sizes_of(engine, container) if size else None,
        links=links_shown(engine, container),
    )


def _files_of(engine: Engine, container: Container) -> Path:
    """Where its hosts, hostname and resolv.conf are, if only that container were there whose network it has."""
    try:
        return engine.directory(owner_of_files(engine, container).id)
    except NotFound:
        return engine.directory(container.id)
