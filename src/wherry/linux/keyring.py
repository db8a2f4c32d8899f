"""keyctl(2): session keyrings."""

import ctypes

from wherry.linux.libc import address_of, checked, declare_syscall, machine_number

_KEYCTL_JOIN_SESSION_KEYRING = 1
_KEYCTL_SETPERM = 5
_KEYCTL_DESCRIBE = 6

_DESCRIPTION_BYTES = 1024

_NUMBER = machine_number(x86_64=250, aarch64=219)
_keyctl = declare_syscall(_NUMBER, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_join = declare_syscall(_NUMBER, ctypes.c_int, ctypes.c_char_p)


def join_session(name: str) -> int:
    """Join the session keyring of that name, or make it; its serial, 0 when it is ours already. Raises OSError."""
    return checked(_join(_KEYCTL_JOIN_SESSION_KEYRING, name.encode()), "keyctl join", name)


def permissions(key: int) -> int:
    """The permission mask of a key: possessor, user, group, other, one byte each. Raises OSError."""
    text = bytearray(_DESCRIPTION_BYTES)
    length = checked(_keyctl(_KEYCTL_DESCRIBE, key, address_of(text), len(text)), "keyctl describe", key)
    return int(text[: length - 1].split(b";")[3], 16)


def set_permissions(key: int, mask: int) -> None:
    """Set the permission mask of a key. Raises OSError."""
    checked(_keyctl(_KEYCTL_SETPERM, key, mask, 0), "keyctl setperm", key)
