"""The images of an engine."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from wherry.client import images as calls
from wherry.client import system
from wherry.client.call import Call
from wherry.client.errors import NotFound
from wherry.python.asynchronous.api import Api
from wherry.python.asynchronous.streams import ByteStream
from wherry.python.credentials import Credentials, header_for
from wherry.python.filters import Filters, filters_of
from wherry.python.progress import loaded, split, understand
from wherry.python.records.image import HistoryEntry, ImageInfo, ImageSummary, Progress, Removed
from wherry.python.records.record import read, read_all
from wherry.python.records.system import Pruned

OnProgress = Callable[[Progress], None]


class Images:
    """Fetch, find, name, move and remove images."""

    def __init__(self, api: Api) -> None:
        """The images behind `api`."""
        self._api = api

    async def pull(
        self,
        reference: str,
        *,
        platform: str = "",
        auth: Credentials | None = None,
        on_progress: OnProgress | None = None,
    ) -> ImageInfo:
        """Fetch an image from its registry. Raises PullError, NotFound, Unauthorized.

        Without `auth`, the credentials that `docker login` or `wherry login` keep are used.
        """
        repository, tag = split(reference)
        call = calls.pull(repository, tag, platform=platform, auth=header_for(repository, auth))
        await self._finish(call, on_progress)
        return await self.get(reference)

    async def push(
        self, reference: str, *, auth: Credentials | None = None, on_progress: OnProgress | None = None
    ) -> None:
        """Send an image to its registry. Raises PullError, NotFound."""
        repository, tag = split(reference)
        await self._finish(calls.push(repository, tag=tag, auth=header_for(repository, auth)), on_progress)

    async def get(self, name: str) -> ImageInfo:
        """All about one image. Raises NotFound."""
        return read(ImageInfo, await self._api.ask(calls.inspect(name)))

    async def exists(self, name: str) -> bool:
        """Whether the engine has it."""
        try:
            await self.get(name)
        except NotFound:
            return False
        return True

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - as docker's flag
        filters: Filters | None = None,
    ) -> tuple[ImageSummary, ...]:
        """The images, newest first; `all` with those that others are made of. Filters such as `{"dangling": True}`."""
        call = calls.listing(all_images=all, wanted=filters_of(filters))
        return read_all(ImageSummary, await self._api.ask(call))

    async def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """The steps it was made by, last one first."""
        return read_all(HistoryEntry, await self._api.ask(calls.history(name)))

    async def tag(self, name: str, reference: str) -> None:
        """One more name for an image."""
        repository, tag = split(reference)
        await self._api.ask(calls.tag(name, repository=repository, tag=tag))

    async def remove(self, name: str, *, force: bool = False, prune: bool = True) -> tuple[Removed, ...]:
        """Take a name away, and with the last one the image. Raises Conflict when a container needs it."""
        return read_all(Removed, await self._api.ask_patiently(calls.remove(name, force=force, no_prune=not prune)))

    async def load(self, archive: bytes | Iterable[bytes], *, on_progress: OnProgress | None = None) -> tuple[str, ...]:
        """Images from an archive that `save` made; their names, or ids for those without."""
        found = []

        def note(message: Progress) -> None:
            found.extend(loaded(message.stream))
            if on_progress is not None:
                on_progress(message)

        await self._finish(calls.load([archive] if isinstance(archive, bytes) else archive), note)
        return tuple(found)

    async def save(self, *names: str) -> ByteStream:
        """Images as one tar archive. Raises NotFound."""
        return ByteStream(await self._api.stream(calls.save([*names])))

    async def import_(
        self,
        archive: bytes | Iterable[bytes] | Path,
        reference: str = "",
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> str:
        """An image of one layer from a tar archive, or of the file that has it; the image's id."""
        repository, tag = split(reference) if reference else ("", "")
        data = archive.read_bytes() if isinstance(archive, Path) else archive
        call = calls.import_(
            "-",
            repository=repository,
            tag=tag,
            message=message,
            changes=[*changes],
            platform=platform,
            body=[data] if isinstance(data, bytes) else data,
        )
        last = await self._finish(call, None)
        return last.status if last is not None else ""

    async def prune(self, *, filters: Filters | None = None) -> Pruned:
        """Remove those without a name that nothing needs; with `{"dangling": False}` all that nothing needs."""
        answer = await self._api.ask_patiently(system.prune("images", wanted=filters_of(filters)))
        removed = read_all(Removed, answer.get("ImagesDeleted"))
        return Pruned(
            removed=tuple(each.deleted or each.untagged for each in removed),
            space_reclaimed=answer.get("SpaceReclaimed", 0),
        )

    async def _finish(self, call: Call, on_progress: OnProgress | None) -> Progress | None:
        """Read a stream of progress to its end; the last message. Raises PullError."""
        answer = await self._api.stream(call)
        last = None
        async for message in answer.lines():
            last = understand(message)
            if on_progress is not None:
                on_progress(last)
        return last
