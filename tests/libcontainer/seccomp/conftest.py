"""A machine that runs a filter without a kernel, so that every call can be tried."""

import struct

import pytest

ABIS = {
    "x86_64": (0xC000003E, 0),
    "x32": (0xC000003E, 0x40000000),
    "x86": (0x40000003, 0),
    "aarch64": (0xC00000B7, 0),
    "arm": (0x40000028, 0),
}


def _evaluate(program, abi, number, *args):
    """What a filter returns for a call; the abi by its name, or an audit number."""
    audit, bit = ABIS[abi] if isinstance(abi, str) else (abi, 0)
    data = struct.pack("<IIQ6Q", number | bit, audit, 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
    code = [struct.unpack_from("=HBBI", program, offset) for offset in range(0, len(program), 8)]
    loaded, place = 0, 0
    while True:
        operation, jump_true, jump_false, value = code[place]
        place += 1
        match operation:
            case 0x20:
                (loaded,) = struct.unpack_from("<I", data, value)
            case 0x54:
                loaded &= value
            case 0x05:
                place += value
            case 0x15:
                place += jump_true if loaded == value else jump_false
            case 0x25:
                place += jump_true if loaded > value else jump_false
            case 0x35:
                place += jump_true if loaded >= value else jump_false
            case 0x45:
                place += jump_true if loaded & value else jump_false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"an instruction nobody uses: {operation:#x}")


@pytest.fixture(scope="session")
def evaluate():
    return _evaluate


@pytest.fixture(scope="session")
def abis():
    return ABIS
