"""How a birth fails: at which stage, on what, why, and what a shell would say of it."""

import errno
import os

NOT_FOUND = 127
NOT_EXECUTABLE = 126
OTHER = 128

# dockerd decides by the words of the message (daemon/errors.go, setExitCodeFromError); these are their errnos.
_EXIT_CODES = {
    errno.ENOENT: NOT_FOUND,
    errno.EACCES: NOT_EXECUTABLE,
    errno.EISDIR: NOT_EXECUTABLE,
    errno.ENOTDIR: NOT_EXECUTABLE,
    errno.ENOEXEC: NOT_EXECUTABLE,
}


class BirthError(OSError):
    """A process that never came to run the user's program. `str(error)` is what runc would say.

    `stage` names what was being done and `subject` to what; `exit_code` is dockerd's: 127 when something was not
    found, 126 when it cannot be executed, entered or is of the wrong kind, 128 for everything else. `is_from_init`
    when the new process itself met it.
    """

    is_from_init = False

    def __init__(self, stage: str, number: int, subject: str = "", message: str = "", exit_code: int = 0) -> None:
        super().__init__(number, message)
        self.stage = stage
        self.subject = subject
        self.exit_code = exit_code or _EXIT_CODES.get(number, OTHER)
        self.message = message or f"{stage}: {subject}: {reason(number)}"

    def __str__(self) -> str:
        return self.message


class InvalidSpec(ValueError):
    """A runtime-spec that asks for what cannot be, or what is not done here; the message says which."""


def reason(number: int) -> str:
    """An errno's text as Go's programs print it: in lower case."""
    text = os.strerror(number)
    return text[:1].lower() + text[1:]


def at(stage: str, error: BaseException, subject: str = "") -> BirthError:
    """Any failure as a BirthError of this stage; one that is a BirthError already keeps its words."""
    if isinstance(error, BirthError):
        return error
    number = (error.errno or errno.EIO) if isinstance(error, OSError) else errno.EINVAL
    words = _words(error)
    return BirthError(stage, number, subject, f"{stage}: {words}" if stage else words)


def _words(error: BaseException) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return str(error) or type(error).__name__
    text = error.strerror or ""
    if text == os.strerror(error.errno):
        text = reason(error.errno)
    # Our own system calls put call and subject into strerror; Python's have the file name beside it.
    name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return name + text
