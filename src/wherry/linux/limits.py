"""prlimit(2): resource limits, by the names of the runtime-spec."""

import resource

UNLIMITED = 2**64 - 1

# Named by setrlimit(2); the numbers are the kernel's and the same on the machines we know.
NUMBERS: dict[str, int] = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_DATA": 2,
    "RLIMIT_STACK": 3,
    "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9,
    "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13,
    "RLIMIT_RTPRIO": 14,
    "RLIMIT_RTTIME": 15,
}


def set_limit(pid: int, number: int, *, soft: int, hard: int) -> None:
    """prlimit(2) on a process, 0 for this one; UNLIMITED or -1 for no limit. Raises PermissionError, OSError."""
    try:
        resource.prlimit(pid, number, (_signed(soft), _signed(hard)))
    except ValueError as error:  # Python's word for EINVAL: soft over hard
        raise OSError(22, f"prlimit {number}: {error}") from None


def _signed(value: int) -> int:
    # Python takes a C rlim_t as a signed number: all bits set is -1.
    return value - 2**64 if value > 2**63 - 1 else value
