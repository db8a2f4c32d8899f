"""Classic BPF (Documentation/networking/filter.rst), put together from parts that know how long they are.

A part is a list of instructions that falls through at its end or returns. Parts are built from the last to the first,
so every jump's distance is known when it is written and no labels are needed.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

INSTRUCTIONS_MAX = 4096
"""What the kernel takes (BPF_MAXINSNS)."""

_FAR = 255

_LOAD_WORD = 0x20
_AND = 0x54
_JUMP = 0x05
_JUMP_EQUAL, _JUMP_GREATER, _JUMP_GREATER_EQUAL = 0x15, 0x25, 0x35
_RETURN = 0x06


class Instruction(NamedTuple):
    """One struct sock_filter; `jt` and `jf` count the instructions to skip when a test is true or false."""

    code: int
    jt: int
    jf: int
    k: int


Part = list[Instruction]


def load(offset: int) -> Part:
    """Load the 32 bits at an offset of struct seccomp_data."""
    return [Instruction(_LOAD_WORD, 0, 0, offset)]


def mask(bits: int) -> Part:
    """Keep only these bits."""
    return [Instruction(_AND, 0, 0, bits)]


def give(action: int) -> Part:
    """Return an action."""
    return [Instruction(_RETURN, 0, 0, action)]


def if_equal(value: int, then: Part, otherwise: Part) -> Part:
    """One part when the loaded value is this one, the other when it is not. `then` must return."""
    return _branch(_JUMP_EQUAL, value, otherwise, then)


def if_at_least(value: int, then: Part, otherwise: Part) -> Part:
    """One part from this unsigned value on, the other below it. `otherwise` must return."""
    return _branch(_JUMP_GREATER_EQUAL, value, then, otherwise)


def unless(jump: int, value: int, *, skip: int) -> Part:
    """Go on when a test is true; skip that many instructions when it is false."""
    return [Instruction(jump, 0, skip, value)]


def when(jump: int, value: int, *, skip: int) -> Part:
    """Skip that many instructions when a test is true; go on when it is false."""
    return [Instruction(jump, skip, 0, value)]


def pack(part: Sequence[Instruction]) -> bytes:
    """The bytes that seccomp(2) takes."""
    one = struct.Struct("=HBBI")
    return b"".join([one.pack(*instruction) for instruction in part])


def _branch(jump: int, value: int, far: Part, near: Part) -> Part:
    """The near part follows at once; for an equality it is the one taken when true, else when false."""
    distance = len(near)
    true_is_near = jump == _JUMP_EQUAL
    if distance <= _FAR:
        jt, jf = (0, distance) if true_is_near else (distance, 0)
        return [Instruction(jump, jt, jf, value), *near, *far]
    # A conditional jump reaches 255 instructions; the unconditional one reaches everywhere.
    jt, jf = (1, 0) if true_is_near else (0, 1)
    return [Instruction(jump, jt, jf, value), Instruction(_JUMP, 0, 0, distance), *near, *far]


EQUAL, GREATER, GREATER_EQUAL = _JUMP_EQUAL, _JUMP_GREATER, _JUMP_GREATER_EQUAL
