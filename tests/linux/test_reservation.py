"""Blocks are there before the bytes, and none stay that no byte came for."""

import os

import pytest

from wherry.linux.reservation import RESERVED_BYTES_MIN, reserved

SIZE = 4 * RESERVED_BYTES_MIN


@pytest.fixture
def file(tmp_path):
    with (tmp_path / "file").open("wb", buffering=0) as file:
        yield file


def allocated(file):
    """Bytes, as stat(2) counts them: in units of 512."""
    return os.fstat(file.fileno()).st_blocks * 512


def test_a_large_file_has_its_blocks_and_not_yet_its_size(file):
    with reserved(file.fileno(), SIZE):
        assert allocated(file) >= SIZE
        assert os.fstat(file.fileno()).st_size == 0
        file.write(bytes(SIZE))
    assert os.fstat(file.fileno()).st_size == SIZE
    assert SIZE <= allocated(file) < 2 * SIZE


def test_they_are_those_behind_what_is_written_already(file):
    file.write(bytes(SIZE))
    with reserved(file.fileno(), SIZE):
        assert allocated(file) >= 2 * SIZE


def test_what_breaks_off_gives_them_back_and_keeps_its_bytes(file):
    def break_off():
        with reserved(file.fileno(), SIZE):
            file.write(b"some")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert allocated(file) < RESERVED_BYTES_MIN
    assert os.fstat(file.fileno()).st_size == 4


def test_a_small_file_is_left_alone(file):
    with reserved(file.fileno(), RESERVED_BYTES_MIN - 1):
        assert allocated(file) == 0


def test_more_than_there_is_room_for_is_no_error_yet(file):
    with reserved(file.fileno(), 1 << 60):
        file.write(b"some")
    assert os.fstat(file.fileno()).st_size == 4
