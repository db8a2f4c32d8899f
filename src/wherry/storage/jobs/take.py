"""The job that writes what stands at a path in a container as a tar, to a descriptor that comes when it is ready.

Standard input is a socket. Once the report says what stands there, one packet on it brings the descriptor, with the
word `chunked` or `plain`; should the socket be closed, nobody wants the tar any more.
"""

import os
import socket
import stat

from wherry.linux.files import open_inside
from wherry.storage import confine, paths
from wherry.storage.jobs.inside import enter, told
from wherry.storage.jobs.report import run, say
from wherry.storage.outlet import Gone, Outlet
from wherry.storage.take import finish, take_one, take_tree

CHUNKED = b"chunked"
_WORD_BYTES_MAX = 16
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def main() -> None:
    """Run the job."""
    run(_take)


def _take(wanted: str, *view: str) -> bytes:
    """`wanted` is a path, or nothing for the whole file system without a name for its root."""
    root = enter(view, capabilities=confine.READS)
    path = paths.absolute(os.fsencode(wanted or "/"))
    say(told(paths.look(root, path)))
    control = socket.socket(fileno=0)
    word, fds, _, _ = socket.recv_fds(control, _WORD_BYTES_MAX, 1)
    if not fds:
        return b"gone\0"
    try:
        outlet = Outlet(fds[0], control, chunked=word == CHUNKED)
        _write(root, path, outlet, is_all=not wanted)
        finish(outlet)
    except Gone:
        return b"gone\0"
    return b"done\0"


def _write(root: int, path: bytes, outlet: Outlet, *, is_all: bool) -> None:
    handle = open_inside(root, path, os.O_PATH | os.O_NOFOLLOW)
    is_directory = stat.S_ISDIR(os.fstat(handle).st_mode)
    os.close(handle)
    name = paths.base(path)
    if not is_directory:
        parent = open_inside(root, path.rpartition(b"/")[0] or b"/", os.O_PATH | os.O_DIRECTORY)
        take_one(parent, name, name, outlet)
        return
    tree = open_inside(root, path, _DIRECTORY)
    if is_all:
        take_tree(tree, b"", outlet)
        return
    take_one(tree, b".", name, outlet)
    take_tree(tree, name if name.endswith(b"/") else name + b"/", outlet)
