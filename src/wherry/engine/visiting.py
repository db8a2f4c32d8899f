"""Having a worker inside a container's file system: entered as its processes see it, or mounted as they would."""

import asyncio
import os
import select
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from wherry.drivers.driver import Process
from wherry.engine.containers import find
from wherry.engine.engine import Engine, Live, Visit
from wherry.engine.joining import owner_of_files
from wherry.engine.mounting import provide_sources
from wherry.engine.plan.mounts import ETC_FILES
from wherry.engine.volume_mounts import hold_volumes, release_volumes
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError, NotFound
from wherry.model.state import Status
from wherry.model.volume import MountPoint
from wherry.storage.view import View
from wherry.storage.visits import open_bind

_FROM_THE_HOST = frozenset({"bind", "volume"})


@dataclass(frozen=True, slots=True)
class Visited:
    """A container whose file system is open to a worker, its root, and the visit, whose end may be wished for."""

    container: Container
    view: View
    root: int
    visit: Visit


@asynccontextmanager
async def visiting(
    engine: Engine, name: str, *, with_mounts: bool = True, only_reads: bool = False
) -> AsyncIterator[Visited]:
    """A container's file system, for a worker that is started and ended within the context.

    A stopped one cannot be started meanwhile, and one visitor waits for the other; a running one may end.
    `with_mounts` shows its binds and volumes too. Raises NotFound, Conflict, EngineError.
    """
    container_id = find(engine, name).id
    live = engine.live_of(container_id)
    async with AsyncExitStack() as stack:
        turn = await stack.enter_async_context(AsyncExitStack())
        await turn.enter_async_context(live.lock)
        container = find(engine, container_id)  # the name may be another's by now
        if not container.state.is_alive:
            # Another overlay over the same directory must be gone.
            await live.forgotten()
            await live.unvisited()
        visit = _admit(container, live)
        stack.callback(_leave, live, visit)
        fds: list[int] = []
        stack.callback(_close_all, fds)
        if container.state.is_alive:
            namespace, root = await _open_running(container, live.process, fds)
            view = View(namespace=namespace)
            await turn.aclose()
        else:
            root = await _mount(engine, container, stack, fds, with_mounts=with_mounts, only_reads=only_reads)
            view = View(root=root)
        if with_mounts:
            view = await asyncio.to_thread(_with_mounts, engine, container, view, fds)
        yield Visited(container, view, root, visit)


def _admit(container: Container, live: Live) -> Visit:
    if live.leaving or container.state.status in {Status.REMOVING, Status.DEAD}:
        raise Conflict(f"container {container.id} is marked for removal")
    visit = Visit()
    live.visits.add(visit)
    return visit


def _leave(live: Live, visit: Visit) -> None:
    live.visits.discard(visit)
    visit.over.set()


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


async def _open_running(container: Container, process: Process | None, fds: list[int]) -> tuple[int, int]:
    """Mount namespace and root of the container's first process, proved not to be another's by now. Raises Conflict."""
    if process is None:
        raise _not_running(container)
    try:
        pidfd = os.pidfd_open(process.pid)
        fds.append(pidfd)
        namespace = os.open(f"/proc/{process.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        fds.append(namespace)
        root = os.open(f"/proc/{process.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        fds.append(root)
    except (ProcessLookupError, FileNotFoundError, PermissionError):
        # EACCES: it was reaped after its directory had been found (fs/proc/namespaces.c).
        raise _not_running(container) from None
    # Asked after the descriptors were opened: a number that is the container's then was it before.
    is_its = process.pid in await process.pids()
    if not is_its or _has_ended(pidfd) or os.path.sameopenfile(namespace, _own_namespace(fds)):
        raise _not_running(container)
    return namespace, root


def _own_namespace(fds: list[int]) -> int:
    fds.append(os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
    return fds[-1]


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _not_running(container: Container) -> Conflict:
    return Conflict(f"container {container.id} is not running")


async def _mount(
    engine: Engine, container: Container, stack: AsyncExitStack, fds: list[int], *, with_mounts: bool, only_reads: bool
) -> int:
    """The root of one that does not run; its volumes are held, should they be wanted, until the stack unwinds."""
    if with_mounts:
        async with AsyncExitStack() as undo:
            await hold_volumes(engine, container, undo)
            undo.pop_all()
        stack.push_async_callback(release_volumes, engine, container)
    return await asyncio.to_thread(_open_root, engine, container, fds, only_reads=only_reads)


def _open_root(engine: Engine, container: Container, fds: list[int], *, only_reads: bool) -> int:
    with engine.storage.open(container.id, fleeting=only_reads) as root:
        fds.append(os.dup(root.fd))
    return fds[-1]


def _with_mounts(engine: Engine, container: Container, view: View, fds: list[int]) -> View:
    """Add what of the host is in the container, the outer first. Raises InvalidParameter, EngineError."""
    is_running = view.namespace >= 0
    if not is_running:
        provide_sources(container.mounts)
    mounts = []
    for point in sorted(_points(engine, container), key=lambda point: point.destination.count("/")):
        try:
            fd = open_bind(point.source, recursive=point.recursive, writable=point.writable)
        except FileNotFoundError:
            if is_running:
                continue  # taken away under its feet: what it still sees is not on the host any more
            raise EngineError(f"{point.source} is to be mounted at {point.destination}, but is not there") from None
        fds.append(fd)
        mounts.append((fd, point.destination))
    return view._replace(mounts=tuple(mounts), memories=_memories(container) if is_running else ())


def _points(engine: Engine, container: Container) -> Iterator[MountPoint]:
    points = [point for point in container.mounts if point.kind in _FROM_THE_HOST]
    yield from points
    taken = {point.destination for point in container.mounts}
    owner = container
    with suppress(NotFound):
        owner = owner_of_files(engine, container)
    files = engine.directory(owner.id)
    for name in ETC_FILES:
        if f"/etc/{name}" not in taken and (files / name).exists():
            yield MountPoint(kind="bind", source=str(files / name), destination=f"/etc/{name}", recursive=False)


def _memories(container: Container) -> tuple[str, ...]:
    named = [point.destination for point in container.mounts if point.kind == "tmpfs"]
    return tuple(dict.fromkeys([*named, *(container.host_config.tmpfs or {})]))
