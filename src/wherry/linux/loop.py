"""loop(4): files as block devices."""

import ctypes
import errno
import fcntl
import os

_LOOP_CLR_FD = 0x4C01
_LOOP_CONFIGURE = 0x4C0A
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_READ_ONLY = 1
_LO_FLAGS_AUTOCLEAR = 4

_TRIES = 64


class _LoopInfo64(ctypes.Structure):
    _fields_ = (
        ("device", ctypes.c_uint64),
        ("inode", ctypes.c_uint64),
        ("rdevice", ctypes.c_uint64),
        ("offset", ctypes.c_uint64),
        ("sizelimit", ctypes.c_uint64),
        ("number", ctypes.c_uint32),
        ("encrypt", ctypes.c_uint32 * 2),
        ("flags", ctypes.c_uint32),
        ("file_name", ctypes.c_char * 64),
        ("crypt_name", ctypes.c_char * 64),
        ("encrypt_key", ctypes.c_char * 32),
        ("init", ctypes.c_uint64 * 2),
    )


class _LoopConfig(ctypes.Structure):
    _fields_ = (
        ("fd", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("info", _LoopInfo64),
        ("reserved", ctypes.c_uint64 * 8),
    )


def attach(file_fd: int, *, read_only: bool = False, autoclear: bool = True) -> tuple[str, int]:
    """Give a file a loop device: (its path, its open descriptor).

    With `autoclear` the device goes when its last opener, this descriptor or a mount, does. Raises OSError.
    """
    flags = (_LO_FLAGS_READ_ONLY if read_only else 0) | (_LO_FLAGS_AUTOCLEAR if autoclear else 0)
    config = _LoopConfig(fd=file_fd)
    config.info.flags = flags
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_TRIES):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            device = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # another was faster
                    raise
            else:
                return path, device
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, f"no loop device stayed free in {_TRIES} tries")


def detach(device_fd: int) -> None:
    """LOOP_CLR_FD: take the file away, at once or when the last user closes. Raises OSError."""
    fcntl.ioctl(device_fd, _LOOP_CLR_FD)
