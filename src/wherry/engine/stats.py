"""`GET /containers/{id}/stats`: what a container uses, once or again and again."""

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from wherry.drivers.driver import ProcessGone
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.joining import endpoint_requests
from wherry.engine.usage import Pair, Reader, Sample
from wherry.model.clock import NANOSECONDS, now_ns
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter
from wherry.networks.wishes import interface_name

# dockerd waits for two rounds of its own, one to two seconds; the processors' times are counted in steps of 10 ms.
WINDOW_SECONDS = 0.5

# What networks give a container; what else is in its namespace dockerd does not count.
_INTERFACE = re.compile(r"eth\d+")


def prepare(engine: Engine, name: str, *, stream: bool, one_shot: bool) -> AsyncGenerator[Pair, None]:
    """Understand the question before the answer begins. Raises NotFound, InvalidParameter.

    A stream goes on as long as the container exists, whether it runs or not. What is asked for once comes with a
    sample of half a second ago, unless `one_shot`.
    """
    if stream and one_shot:
        raise InvalidParameter("cannot have stream=true and one-shot=true")
    container = find(engine, name)
    return _watch(engine, container.id) if stream else _once(engine, container, one_shot=one_shot)


async def _once(engine: Engine, container: Container, *, one_shot: bool) -> AsyncGenerator[Pair, None]:
    before = None
    if not one_shot and container.state.is_alive:
        reader = engine.readers.get(container.id)
        before = reader.latest if reader is not None and reader.latest is not None else await _take(engine, container)
        await _grow_old(before)
    sample = await _take(engine, container)
    yield Pair(sample=sample, before=before if sample.usage is not None else None)


async def _grow_old(sample: Sample) -> None:
    """Wait until a sample is old enough to compute rates from; one of a container that has ended is."""
    if sample.usage is not None:
        age_seconds = max(0, now_ns() - sample.usage.read_ns) / NANOSECONDS
        await asyncio.sleep(max(0.0, WINDOW_SECONDS - age_seconds))


async def _watch(engine: Engine, container_id: str) -> AsyncGenerator[Pair, None]:
    reader = engine.readers.get(container_id) or _read(engine, container_id)
    reader.watchers += 1
    try:
        async with aclosing(reader.watch()) as pairs:
            async for pair in pairs:
                yield pair
    finally:
        reader.watchers -= 1
        if not reader.watchers and reader.task is not None:
            reader.task.cancel()


def _read(engine: Engine, container_id: str) -> Reader:
    async def take() -> Sample | None:
        container = engine.containers.get(container_id)
        return None if container is None else await _take(engine, container)

    async def read() -> None:
        try:
            await reader.read()
        finally:
            if engine.readers.get(container_id) is reader:
                del engine.readers[container_id]

    reader = engine.readers[container_id] = Reader(take)
    reader.task = engine.background(read(), name=f"stats {container_id}")
    return reader


async def _take(engine: Engine, container: Container) -> Sample:
    process = engine.live_of(container.id).process
    empty = Sample(id=container.id, name=container.name)
    if process is None:
        return empty
    try:
        usage = await process.usage()
    except ProcessGone:
        return empty
    host = container.host_config.network_mode == "host" or container.config.network_disabled
    return Sample(
        id=container.id,
        name=container.name,
        usage=usage,
        links=() if host else tuple(link for link in usage.links if _is_of_a_network(container, link.name)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


def _is_of_a_network(container: Container, name: str) -> bool:
    """Tunnels that the kernel makes in every namespace are not counted."""
    named = (interface_name(wish, 0) for wish in endpoint_requests(container).values())
    return bool(_INTERFACE.fullmatch(name)) or name in named
