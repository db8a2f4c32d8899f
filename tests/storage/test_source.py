"""What a worker reads, by a pipe or from a client's connection in every framing, arrives as it was sent."""

import os
import random
import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from wherry.storage.framing import FramedBody, FramingError
from wherry.storage.source import ConnectionSource, PipeSource

DATA = random.Random(5).randbytes(3_000_001)


def chunked(data, size):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: x\r\n\r\n"


@pytest.fixture
def sent():
    """A connection on which a thread sends bytes and ends, or a pipe."""
    with ExitStack() as stack:

        def sent(data, *, by_pipe=False):
            if by_pipe:
                reading, writing = os.pipe()
                source, sink = os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)
            else:
                source, theirs = socket.socketpair()
                with theirs:
                    sink = theirs.makefile("wb", buffering=0)
            thread = threading.Thread(target=send, args=(sink, data))
            stack.callback(thread.join)
            stack.enter_context(source)
            thread.start()
            return source.fileno()

        yield sent


def send(sink, data):
    with sink, suppress(BrokenPipeError):  # what comes after its end no source needs to read
        view = memoryview(data)
        while view:
            view = view[sink.write(view) :]


@pytest.fixture
def connection(monkeypatch):
    """Its source's own pipe, which else ends with a worker, is closed."""
    pipes, make = [], os.pipe2
    monkeypatch.setattr(os, "pipe2", lambda flags: pipes.append(make(flags)) or pipes[-1])
    yield ConnectionSource
    for pipe in pipes:
        for fd in pipe:
            os.close(fd)


def copied(source, tmp_path, first, moved):
    """Some is read, much moved, the rest read: as a tar's headers and files are."""
    came = b""
    while len(came) < first and (piece := source.read(first - len(came))):
        came += piece
    with (tmp_path / "out").open("w+b", buffering=0) as file:
        while moved:
            done = source.move(file.fileno(), moved)
            moved -= done
            if moved and not done:
                piece = source.read(moved)
                if not piece:
                    break
                file.write(piece)
                moved -= len(piece)
        file.seek(0)
        came += file.read()
    while piece := source.read(1 << 20):
        came += piece
    return came


@pytest.mark.parametrize("first", [0, 512, 100_001])
@pytest.mark.parametrize("moved", [0, 700_000, 2_900_000, 5_000_000])
def test_a_pipe(sent, tmp_path, first, moved):
    assert copied(PipeSource(sent(DATA, by_pipe=True)), tmp_path, first, moved) == DATA


@pytest.mark.parametrize("size", [700, 4_099, 32_768, 131_072, 1 << 20, 1 << 30])
@pytest.mark.parametrize("already", [0, 1, 9, 70_000])
def test_a_connection_with_chunks(sent, connection, tmp_path, size, already):
    body = chunked(DATA, size)
    source = connection(sent(body[already:]), body[:already], None)
    assert copied(source, tmp_path, 512, 2_000_000) == DATA


@pytest.mark.parametrize("already", [0, 1, 600, 3_000_001])
@pytest.mark.parametrize("moved", [700_000, 5_000_000])
def test_a_connection_with_a_length(sent, connection, tmp_path, already, moved):
    source = connection(sent(DATA[already:] + b"the next request"), DATA[:already], len(DATA))
    assert copied(source, tmp_path, 512, moved) == DATA


def test_a_file_that_takes_no_pages_gets_them_all_the_same(sent, connection, tmp_path):
    """splice(2) refuses files that are open to be appended to."""
    for source in (PipeSource(sent(DATA, by_pipe=True)), connection(sent(DATA), b"", len(DATA))):
        path = tmp_path / "appended"
        with path.open("ab", buffering=0) as file:
            left = len(DATA)
            while left:
                left -= source.move(file.fileno(), left)
                if left:
                    left -= file.write(source.read(left))
        assert path.read_bytes() == DATA
        path.unlink()


BROKEN = [b"", b"5\r\nhel", b"5\r\nhello\r\n0\r\n", b"ffffffffffffffff\r\n" + bytes(400_000)]


@pytest.mark.parametrize("body", BROKEN, ids=["nothing", "a chunk", "the end", "a huge chunk"])
def test_a_connection_that_breaks_off(sent, connection, tmp_path, body):
    with pytest.raises(FramingError, match="unexpected EOF"):
        copied(connection(sent(body), b"", None), tmp_path, 0, 1 << 40)


def test_a_connection_that_breaks_off_before_its_length(sent, connection, tmp_path):
    with pytest.raises(FramingError, match="unexpected EOF"):
        copied(connection(sent(DATA), b"", len(DATA) + 1), tmp_path, 0, 1 << 40)


def test_pieces_are_taken_together_only_when_they_are_here():
    """What has come is passed on before more is waited for."""
    body = FramedBody(lambda _: pytest.fail("nothing was to be read"), b"2\r\nab\r\n3\r\ncde\r\n4\r\nf", None)
    assert body.goes_on()
    assert [bytes(piece) for piece in body.take_many(100)] == [b"ab", b"cde", b"f"]
