"""What the daemon itself holds, for whoever looks for something that grows: served in debug mode only, as dockerd's."""

import asyncio
import gc
import os
import sys
import threading
from collections import Counter
from typing import Any

from aiohttp.web import StreamResponse

from wherry.api.answers import answer
from wherry.api.connection import Connection
from wherry.api.routing import Call, RouteTable
from wherry.engine.engine import Engine
from wherry.model.errors import NotFound

# The rest are single ones, which are many and say nothing.
TYPES_SHOWN_MAX = 200

routes = RouteTable()


@routes.route("GET", "/debug/vars")
async def show_vars(call: Call) -> StreamResponse:
    """Counts of everything that must not grow, after a full garbage collection; with `types=1` objects by type.

    dockerd has this path too, with the numbers of Go's runtime. Raises NotFound unless `--debug` was said.
    """
    if not call.engine.settings.debug:
        raise NotFound("page not found")
    gc.collect()
    objects = gc.get_objects()
    shown = {"types": _by_type(objects)} if call.form.flag("types") else {}
    return answer({"cmdline": sys.argv, "memstats": _memory(objects), "wherry": _held(call.engine, objects), **shown})


def _memory(objects: list[Any]) -> dict[str, Any]:
    return {
        "Objects": len(objects),
        "FrozenObjects": gc.get_freeze_count(),
        "Blocks": sys.getallocatedblocks(),
        "Threads": threading.active_count(),
    }


def _held(engine: Engine, objects: list[Any]) -> dict[str, int]:
    return {
        "Descriptors": len(os.listdir("/proc/self/fd")),
        "Tasks": len(asyncio.all_tasks()),
        # Counted where they are, so that one which the server forgot and nothing freed is counted too.
        "Connections": sum(isinstance(each, Connection) for each in objects),
        "Containers": len(engine.containers.values()),
        "LiveContainers": len(engine.live),
        "Execs": len(engine.execs),
        "ReservedNames": len(engine.reserved_names),
        "EventListeners": engine.bus.subscribers,
    }


def _by_type(objects: list[Any]) -> dict[str, int]:
    names = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in objects)
    return dict(names.most_common(TYPES_SHOWN_MAX))
