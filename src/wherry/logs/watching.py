"""One inotify instance for all who watch a log's directory: a user may have only 128 of them (inotify(7))."""

import asyncio
import contextlib
import os
from collections.abc import Callable

from wherry.linux import inotify

_MASK = inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO | inotify.IN_DELETE | inotify.IN_ONLYDIR

Notice = Callable[[inotify.Event], None]


class Watching:
    """The instance of one event loop; it is there while anybody watches."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch nothing yet. Raises OSError."""
        self._loop = loop
        self._fd = inotify.open_inotify()
        self._notices: dict[int, list[Notice]] = {}
        loop.add_reader(self._fd, self._read)

    def add(self, directory: str, notice: Notice) -> int:
        """Have `notice` called for each change in a directory; the watch's number. Raises OSError."""
        watch = inotify.add_watch(self._fd, directory, _MASK)
        self._notices.setdefault(watch, []).append(notice)
        return watch

    def remove(self, watch: int, notice: Notice) -> None:
        """No more of that."""
        notices = self._notices.get(watch, [])
        if notice in notices:
            notices.remove(notice)
        if not notices and self._notices.pop(watch, None) is not None:
            with contextlib.suppress(OSError):  # the directory is gone, and its watch with it
                inotify.remove_watch(self._fd, watch)

    @property
    def is_idle(self) -> bool:
        """Whether nobody watches."""
        return not self._notices

    def close(self) -> None:
        """Close the instance."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        for event in inotify.read_events(self._fd):
            if event.mask & inotify.IN_Q_OVERFLOW:
                concerned = [notice for notices in self._notices.values() for notice in notices]
            else:
                concerned = list(self._notices.get(event.watch, ()))
            for notice in concerned:
                notice(event)


_all: dict[asyncio.AbstractEventLoop, Watching] = {}


class Watch:
    """One watched directory, until it is closed."""

    def __init__(self, directory: str, notice: Notice) -> None:
        """Have `notice` called for each change in it, on the running loop. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._notice = notice
        watching = _all.get(self._loop) or Watching(self._loop)
        try:
            self._number = watching.add(directory, notice)
        except OSError:
            if watching.is_idle and self._loop not in _all:
                watching.close()
            raise
        _all[self._loop] = watching

    def close(self) -> None:
        """Stop; with the last watch the instance goes."""
        watching = _all[self._loop]
        watching.remove(self._number, self._notice)
        if watching.is_idle:
            del _all[self._loop]
            watching.close()
