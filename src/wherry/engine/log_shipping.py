"""Log drivers that send lines elsewhere: for each of their containers a task, from its start until all is sent."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack

from wherry.engine.engine import Engine, Live
from wherry.engine.log_plan import find_log_driver, known_log_driver, log_path, log_subject
from wherry.logs.driver import Sender
from wherry.logs.shipping import Shipment, Shipper, is_all_sent
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter

# How long a removed container's last lines are waited for.
LAST_SECONDS = 10.0

log = logging.getLogger(__name__)

Ended = Callable[[], Awaitable[object]]


async def open_sender(engine: Engine, container: Container, undo: AsyncExitStack) -> Sender | None:
    """What sends the lines of a container that is about to start. Raises InvalidParameter, OSError."""
    sender = find_log_driver(engine, container.host_config.log_config.type).sender(log_subject(container))
    if sender is not None:
        undo.push_async_callback(sender.close)
        await sender.open()
    return sender


async def begin_shipping(engine: Engine, container: Container, live: Live, sender: Sender | None) -> None:
    """Send a container's lines from now on, and first what is left of its run before. Its process is there."""
    await stop_shipping(live)
    if sender is not None:
        assert live.process is not None
        _ship(engine, container, live, sender, live.process.wait)


async def resume_shipping(engine: Engine) -> None:
    """At the daemon's start: go on where the last one was, also with what was said before an end."""
    for container in engine.containers.values():
        driver = known_log_driver(engine, container.host_config.log_config.type)
        live = engine.live_of(container.id)
        if driver is None or not driver.sends or live.shipper is not None:
            continue
        try:
            if live.process is None and await asyncio.to_thread(is_all_sent, str(log_path(engine, container))):
                continue
            sender = driver.sender(log_subject(container))
        except (InvalidParameter, OSError) as error:
            log.warning("the log of container %s cannot be sent: %s", container.id, error)
            continue
        if sender is not None:
            _ship(engine, container, live, sender, live.process.wait if live.process else _nothing)


async def finish_shipping(lives: Iterable[Live]) -> None:
    """Give what is left of ended containers a while to be sent, and end it."""
    await asyncio.gather(*(live.shipper.finish(LAST_SECONDS) for live in lives if live.shipper is not None))


async def stop_shipping(live: Live) -> None:
    """End a container's task; what is not sent waits for the next."""
    if live.shipper is not None:
        await live.shipper.stop()


def _ship(engine: Engine, container: Container, live: Live, sender: Sender, ended: Ended) -> None:
    def trouble(words: str) -> None:
        log.warning("the log of container %s: %s", container.id, words)

    shipment = Shipment(str(log_path(engine, container)), sender, trouble)
    task = engine.background(shipment.run(ended), name=f"send the log of {container.id}")
    live.shipper = Shipper(shipment, task)


async def _nothing() -> None:
    """The end of a container that does not run."""
