"""`GET /containers/json`: which containers, in which order."""

import asyncio
from dataclasses import dataclass, field

from wherry.engine.engine import Engine
from wherry.engine.links import link_names
from wherry.engine.list_match import ACCEPTED, matcher
from wherry.engine.request.filters import Filters
from wherry.engine.sizes import Sizes, sizes_of
from wherry.model.container import Container
from wherry.model.state import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Which containers: all or those that run; the newest `limit`; with sizes; filters by name as the API has them."""

    everything: bool = False
    limit: int = 0
    size: bool = False
    filters: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A container of the list; `sizes` only when asked for; names that links give it, such as `/me/db`."""

    container: Container
    sizes: Sizes | None = None
    link_names: tuple[str, ...] = ()


async def list_containers(engine: Engine, query: ListQuery) -> list[Summary]:
    """The containers that match, newest first. Raises InvalidParameter for filters and values that do not exist."""
    wanted = Filters(query.filters, ACCEPTED)
    matches = matcher(engine, wanted)
    everything = query.everything or query.limit > 0 or "status" in wanted or "exited" in wanted
    newest = sorted(engine.containers.values(), key=lambda one: one.created_ns, reverse=True)
    chosen = [one for one in newest if (everything or _shows(one)) and matches(one)]
    if query.limit > 0:
        chosen = chosen[: query.limit]
    sizes = await _sizes(engine, chosen) if query.size else dict[str, Sizes]()
    names = link_names(engine)
    return [Summary(container=one, sizes=sizes.get(one.id), link_names=tuple(names.get(one.id, ()))) for one in chosen]


async def _sizes(engine: Engine, chosen: list[Container]) -> dict[str, Sizes]:
    found = await asyncio.gather(*(sizes_of(engine, one) for one in chosen))
    return {one.id: sizes for one, sizes in zip(chosen, found, strict=True)}


def _shows(container: Container) -> bool:
    return container.state.is_alive or container.state.status is Status.RESTARTING
