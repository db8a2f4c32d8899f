"""Progress on a terminal and elsewhere."""

import io
import os
import pty

import pytest

from wherry.cli import progress
from wherry.cli.errors import CommandError

MESSAGES = [
    {"status": "Pulling from library/x", "id": "latest"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"},
    {"status": "Downloading", "progressDetail": {"current": 500, "total": 1000}, "id": "aaa"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aaa"},
    {"status": "Digest: sha256:1"},
]


class Somewhere(io.StringIO):
    def __init__(self, descriptor):
        super().__init__()
        self._descriptor = descriptor

    def fileno(self):
        return self._descriptor


def test_elsewhere_only_steps_are_told():
    with open(os.devnull, "w") as nowhere:
        stream = Somewhere(nowhere.fileno())
        progress.show(MESSAGES, stream)
    assert stream.getvalue() == (
        "latest: Pulling from library/x\naaa: Pulling fs layer\naaa: Pull complete\nDigest: sha256:1\n"
    )


def test_on_a_terminal_a_layer_keeps_its_line():
    master, slave = pty.openpty()
    try:
        stream = Somewhere(slave)
        progress.show(MESSAGES, stream)
    finally:
        os.close(master)
        os.close(slave)
    text = stream.getvalue()
    assert "\x1b[1A\x1b[2K\raaa: Downloading [=========================>                         ]" in text
    assert "500B/1kB" in text
    assert text.count("\n") == 3


def test_an_error_in_the_stream_is_an_error():
    with pytest.raises(CommandError, match="no space"):
        progress.drain([{"errorDetail": {"message": "no space"}, "error": "old words"}])
