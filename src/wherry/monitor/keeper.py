"""The keeper: holds copies of what the death of a monitor would close, and reaps what dead ones leave behind.

It is started by the daemon, outlives it, and is met again on its socket in the exec-root. The nursery is its child;
so it stands above all monitors, and as the only subreaper there it becomes the parent of every process whose monitor
is killed, and knows its status whoever else is dead. What it keeps it gives to the monitor that takes over. It
ends when nobody is connected (every monitor is) and nothing is kept. `keeping` has what is said to it.

It does nothing else, looks into nothing, and imports next to nothing.
"""

import _signal  # type: ignore[import-not-found]  # `signal` imports four times what it wraps; so does `socket`
import _socket
import os
import select
import struct
import sys
import time

from wherry.monitor import keeping
from wherry.monitor.keeping import Record

LISTENER, CONNECTION = 3, 4
"""The descriptors that it is started with: of the socket it listens at, and of its first daemon's connection."""
NURSERY_CONNECTION, NURSERY_LINE = 3, 4
"""Those of a nursery: its daemon's connection, and the line on which it and its monitors say what is to be kept."""
_ANSWER_SECONDS = 1
_DYING_SECONDS = 1
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_TIMEVAL = struct.Struct("ll")
_QUIET = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT)


class _Item:
    """Something kept. `ended` is what is known of its process's end, `listener` where somebody waits for that."""

    __slots__ = ("ended", "listener", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.ended = b""
        self.listener = -1

    def tell(self, ended: bytes) -> None:
        """Its process has ended."""
        self.ended = ended
        self.listen(-1)

    def listen(self, writing: int) -> None:
        """Tell the one who listened so far what is known; there is another now."""
        if self.listener >= 0:
            _say_end(self.listener, self.ended)
        self.listener = writing

    def replace(self, before: "_Item") -> None:
        """Take the place of what had the name, and what is known there of the end."""
        self.ended, self.listener, before.listener = before.ended, before.listener, -1
        before.close()

    def close(self) -> None:
        """Let go of it."""
        self.listen(-1)
        keeping.close_all(self.record.fds)


class Keeper:
    """Serves daemons and monitors; nothing that one of them says ends it."""

    def __init__(self, listener: _socket.socket, connection: _socket.socket, path: str) -> None:
        """Listen, serve the first daemon, and mind the children. `path` is the listener's."""
        self._listener = listener
        self._path = path
        self._open: dict[int, _socket.socket] = {}
        self._kept: dict[bytes, dict[bytes, _Item]] = {}
        self._epoll = select.epoll()
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        self._wake_up = _hear_of_children()
        self._epoll.register(self._wake_up, select.EPOLLIN)
        self._serve(connection)

    def run(self) -> None:
        """Until nobody is connected and nothing is kept."""
        while self._open or self._kept:
            for fd, _ in self._epoll.poll():
                if fd == self._listener.fileno():
                    self._accept()
                elif fd == self._wake_up:
                    self._reap()
                elif fd in self._open:
                    self._receive(self._open[fd])

    def _serve(self, connection: _socket.socket) -> None:
        # Who takes no answers must not keep everybody else waiting.
        connection.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, _TIMEVAL.pack(_ANSWER_SECONDS, 0))
        self._open[connection.fileno()] = connection
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _accept(self) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - `socket` wraps just this
        except OSError:
            return
        connection = _socket.socket(fileno=fd)
        data = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(data)[1] != os.geteuid():
            connection.close()
            return
        self._serve(connection)

    def _receive(self, connection: _socket.socket) -> bool:
        """Take one packet; whether there may be more."""
        try:
            records = keeping.receive(connection)
        except BlockingIOError:
            return False
        except OSError:
            self._hang_up(connection)
            return False
        for record in records:
            try:
                self._do(record, connection)
            except Exception as error:  # noqa: BLE001 - whatever one of them says, the others are served
                self._answer(connection, [Record(keeping.FAILED, body=str(error).encode())])
        return True

    def _hang_up(self, connection: _socket.socket) -> None:
        if self._open.pop(connection.fileno(), None):
            self._epoll.unregister(connection.fileno())
            self._hear_the_dead(connection)
            if not self._open and not self._kept:
                self._leave()
            connection.close()

    def _leave(self) -> None:
        """Nobody needs us: leave nothing behind. The last one to hang up waits until that is done."""
        try:
            os.unlink(self._path)
        except OSError:
            return  # somebody cleared the directory

    def _do(self, record: Record, connection: _socket.socket) -> None:
        if record.what == keeping.PUT:
            self._put(record)
            return
        try:
            if record.what == keeping.DROP:
                self._drop(record)
            elif record.what == keeping.GIVE:
                self._give(record, connection)
            elif record.what == keeping.SPAWN:
                self._spawn(record, connection)
            elif record.what == keeping.LINE:
                self._serve(_socket.socket(fileno=os.dup(record.fds[0])))
        finally:
            keeping.close_all(record.fds)

    def _put(self, record: Record) -> None:
        mine = self._kept.setdefault(record.owner, {})
        before = mine.get(record.name)
        mine[record.name] = item = _Item(record)
        if before:
            item.replace(before)

    def _drop(self, record: Record) -> None:
        mine = self._kept.get(record.owner, {})
        for name in [record.name] if record.name else list(mine):
            item = mine.pop(name, None)
            if item:
                item.close()
        if not mine:
            self._kept.pop(record.owner, None)

    def _give(self, record: Record, connection: _socket.socket) -> None:
        self._hear_the_dead(connection)
        items = list(self._kept.get(record.owner, {}).values())
        for monitor in {item.record.by for item in items}:
            _await_death(monitor)
        self._reap()
        for item in items:
            self._give_item(item, connection)
        self._answer(connection, [Record(keeping.END)])

    def _give_item(self, item: _Item, connection: _socket.socket) -> None:
        kept = item.record
        ending = _listen_for_end(item) if kept.pid else ()
        fds = (*kept.fds, *ending)
        try:
            self._answer(
                connection, [Record(keeping.ITEM, kept.owner, kept.name, kept.body, pid=kept.pid, by=kept.by, fds=fds)]
            )
        finally:
            keeping.close_all(ending)

    def _hear_the_dead(self, asking: _socket.socket) -> None:
        """Who asks about a dead monitor gets all that this one has said, also what was not read yet."""
        for connection in list(self._open.values()):
            while connection is not asking and self._receive(connection):
                pass

    def _reap(self) -> None:
        _empty(self._wake_up)
        self._hear_the_dead(self._listener)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            self._tell(pid, b"%d %d" % (code if code >= 0 else 128 - code, time.time_ns()))

    def _tell(self, pid: int, ended: bytes) -> None:
        for mine in self._kept.values():
            for item in mine.values():
                if item.record.pid == pid:
                    item.tell(ended)

    def _spawn(self, record: Record, connection: _socket.socket) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            pid = _spawn_nursery(record.body.decode().split("\0"), *record.fds, line=theirs.fileno())
        finally:
            theirs.close()
        self._serve(ours)
        pidfd = os.pidfd_open(pid)
        try:
            self._answer(connection, [Record(keeping.ITEM, pid=pid, fds=(pidfd,)), Record(keeping.END)])
        finally:
            os.close(pidfd)

    def _answer(self, connection: _socket.socket, records: list[Record]) -> None:
        try:
            for packet in keeping.packets(records):
                keeping.send(connection, packet)
        except OSError:
            self._hang_up(connection)


def main() -> None:
    """Started as `python -I -S -c …`: first `outside`, which lets go of the daemon, then again `inside`."""
    if sys.argv[1] == "outside":
        _become_own(sys.orig_argv)
    with open("/proc/self/comm", "wb", buffering=0) as comm:
        comm.write(b"wherry-keeper")
    for number in _QUIET:
        _signal.signal(number, _signal.SIG_IGN)
    listener, first = _socket.socket(fileno=LISTENER), _socket.socket(fileno=os.dup(CONNECTION))
    listener.setblocking(False)
    os.set_inheritable(LISTENER, False)
    # What comes in must never get the numbers that a nursery's descriptors have.
    os.dup2(os.open("/dev/null", os.O_RDWR), CONNECTION, inheritable=False)
    Keeper(listener, first, sys.argv[3]).run()


def command(executable: str, paths: tuple[str, ...], socket_path: str) -> list[str]:
    """The arguments that start a keeper, with the modules found on `paths`, which listens at `socket_path`."""
    code = "import sys; sys.path += sys.argv[2].split(':'); from wherry.monitor.keeper import main; main()"
    return [executable, "-I", "-S", "-c", code, "outside", ":".join(paths), socket_path]


def _become_own(arguments: list[str]) -> None:
    """Be nobody's child and the parent of all orphans below; then start anew, without what only this needs."""
    from wherry.linux import prctl, process  # noqa: PLC0415 - ctypes would stay for good

    process.close_range(CONNECTION + 1)  # what a daemon was started with is nothing for monitors and hooks
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    prctl.set_child_subreaper(on=True)  # execve(2) leaves it on
    at = arguments.index("outside")
    os.execv(arguments[0], [*arguments[:at], "inside", *arguments[at + 1 :]])  # noqa: S606 - itself


def _hear_of_children() -> int:
    """A descriptor that can be read when a child has ended."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    _signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _empty(pipe: int) -> None:
    try:
        os.read(pipe, 4096)
    except BlockingIOError:
        return


def _listen_for_end(item: _Item) -> tuple[int]:
    """A pipe that tells an item's end: at once when it is known or cannot be known, later for a child of ours."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    if item.ended or not _is_child(item.record.pid):
        _say_end(writing, item.ended)
    else:
        item.listen(writing)
    return (reading,)


def _say_end(writing: int, ended: bytes) -> None:
    try:
        os.write(writing, ended)
    except OSError:
        return  # nobody listens any more
    finally:
        os.close(writing)


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _await_death(pid: int) -> None:
    """Wait until a dying process is dead: it hangs up a little before its children are given to us."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(_DYING_SECONDS * 1000)
    os.close(pidfd)


def _spawn_nursery(arguments: list[str], connection: int, stderr: int, *, line: int) -> int:
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
        (os.POSIX_SPAWN_DUP2, connection, NURSERY_CONNECTION),
        (os.POSIX_SPAWN_DUP2, line, NURSERY_LINE),
    ]
    ordinary = set(_signal.valid_signals()) - {_signal.SIGKILL, _signal.SIGSTOP}
    # What we ignore or block, containers would inherit.
    return os.posix_spawn(
        arguments[0], arguments, {}, file_actions=actions, setsid=True, setsigmask=(), setsigdef=ordinary
    )
