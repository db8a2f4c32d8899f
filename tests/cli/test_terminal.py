"""Terminals, detach keys and streams."""

import os
import pty
import termios

import pytest

from wherry.cli import terminal
from wherry.cli.errors import CommandError
from wherry.cli.streams import Demultiplexer


@pytest.mark.parametrize(
    ("text", "keys"),
    [("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-@,ctrl-[,ctrl-_", b"\x00\x1b\x1f"), ("ctrl-a,x", b"\x01x")],
)
def test_detach_keys(text, keys):
    assert terminal.detach_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-", "ctrl-1", "a,,b", "ctrl-P"])
def test_detach_keys_that_are_none(text):
    with pytest.raises(CommandError):
        terminal.detach_keys(text)


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ab"], b"ab", False),
        ([b"a\x10", b"\x11b"], b"a", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x10"], b"", False),
    ],
)
def test_the_sequence_is_found_and_half_of_it_is_handed_on(typed, passed, detached):
    keys = terminal.Keys(b"\x10\x11")
    answers = [keys.passed(data) for data in typed]
    assert (b"".join(data for data, _ in answers), answers[-1][1]) == (passed, detached)


def test_a_raw_terminal_is_put_back():
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        with terminal.Raw(slave):
            assert not termios.tcgetattr(slave)[3] & termios.ECHO
        assert termios.tcgetattr(slave) == before
        assert terminal.is_terminal(slave)
    finally:
        os.close(master)
        os.close(slave)


def test_what_is_no_terminal_has_no_size_and_no_raw_mode(tmp_path):
    with open(tmp_path / "f", "w") as file:
        assert terminal.size(file.fileno()) == (0, 0)
        with terminal.Raw(file.fileno()):
            pass


def frame(stream, data):
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_frames_are_split_however_they_are_cut(capfd):
    data = frame(1, b"out1 ") + frame(2, b"err") + frame(1, b"out2") + frame(1, b"")
    demultiplexer = Demultiplexer()
    for index in range(len(data)):
        demultiplexer.feed(data[index : index + 1])
    assert capfd.readouterr() == ("out1 out2", "err")


def test_a_stream_that_is_not_attached_is_dropped(capfd):
    Demultiplexer(stderr=False).feed(frame(1, b"a") + frame(2, b"b"))
    assert capfd.readouterr() == ("a", "")


def test_the_daemons_own_error_ends_the_stream():
    with pytest.raises(CommandError, match="error from daemon in stream: broken"):
        Demultiplexer().feed(frame(3, b"broken"))


def test_signals_are_named_as_docker_names_them():
    from wherry.cli import signals

    assert [signals.name(number) for number in (2, 15, 28, 17, 6, 29, 99)] == [
        "INT", "TERM", "WINCH", "CHLD", "ABRT", "IO", "99",
    ]  # fmt: skip
    assert {1, 2, 15, 28} <= signals.FORWARDED
    assert not {9, 13, 17, 19, 23} & signals.FORWARDED


def test_watched_signals_are_read_and_their_handlers_put_back():
    import signal

    from wherry.cli import signals

    before = signal.getsignal(signal.SIGUSR1)
    with signals.Watch([signal.SIGUSR1]) as watch:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert watch.read() == bytes([signal.SIGUSR1])
        assert watch.read() == b""
    assert signal.getsignal(signal.SIGUSR1) == before
