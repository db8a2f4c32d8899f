"""Files of a container, running or not: as tar archives, as bytes, as copies on this host."""

from collections.abc import Iterable
from pathlib import Path

from wherry.client import containers as calls
from wherry.client.aio import AsyncAnswer
from wherry.python.archives import as_archive, content_of, extract, status_in, tree
from wherry.python.asynchronous.api import Api
from wherry.python.asynchronous.pace import aside
from wherry.python.asynchronous.streams import Archive, ByteStream
from wherry.python.records.container import PathStatus


class Files:
    """The part of a container that reads and writes its files."""

    _api: Api
    id: str

    async def path_status(self, path: str) -> PathStatus:
        """What a path is; a symbolic link is not followed. Raises NotFound."""
        answer = await self._api.stream(calls.path_status(self.id, path), seconds=self._api.seconds)
        await answer.read()
        return status_in(answer.head.headers)

    async def get_archive(self, path: str) -> Archive:
        """A file or directory as a tar archive. Raises NotFound."""
        answer: AsyncAnswer = await self._api.stream(calls.archive(self.id, path))
        return Archive(answer, status_in(answer.head.headers))

    async def put_archive(
        self, path: str, archive: bytes | Iterable[bytes], *, keep_kinds: bool = False, chown: bool = False
    ) -> None:
        """Unpack a tar archive in the directory `path`. `keep_kinds` refuses to put a file for a directory or back.

        The archive's numbers of users and groups count; with `chown` all becomes the container's user's. Raises
        NotFound, InvalidParameter.
        """
        call = calls.extract(self.id, path, archive, keep_kinds=keep_kinds, chown=chown)
        await self._api.ask_patiently(call)

    async def read_file(self, path: str) -> bytes:
        """A regular file's content. Raises NotFound; IsADirectoryError for what is none."""
        async with await self.get_archive(path) as archive:
            return content_of(await archive.read(), path)

    async def write_file(self, path: str, data: bytes | str, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Make or replace a file in a directory that is there; text is encoded as UTF-8."""
        directory, _, name = path.rpartition("/")
        body = as_archive(name, data.encode() if isinstance(data, str) else data, mode=mode, uid=uid, gid=gid)
        await self.put_archive(directory or "/", body)

    async def copy_in(self, source: str | Path, directory: str) -> None:
        """Copy a file or directory of this host into a directory of the container, under its own name."""
        await self.put_archive(directory, tree(Path(source)))

    async def copy_out(self, path: str, directory: str | Path) -> Path:
        """Copy a file or directory into a directory of this host; where it is now.

        What the archive says is not trusted: nothing is written outside of the directory, no device is made.
        """
        async with await self.get_archive(path) as archive:
            data = await archive.read()
            name = archive.status.name
        await aside(lambda: extract(data, Path(directory)))
        return Path(directory) / name

    async def export(self) -> ByteStream:
        """Its whole file system as a tar archive."""
        return ByteStream(await self._api.stream(calls.export(self.id)))
