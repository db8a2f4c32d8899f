"""The user's program: where it works, which file it is, and its execution."""

import errno
import os
import stat
from collections.abc import Callable

from wherry.libcontainer.errors import BirthError, reason
from wherry.oci.runtime import Process


def environment(process: Process, home: Callable[[], str]) -> dict[str, str]:
    """The spec's variables, the last of a name winning, and HOME when it does not say. Raises BirthError."""
    found: dict[str, str] = {}
    for entry in process.env:
        name, equals, value = entry.partition("=")
        if not equals or "\0" in entry:
            raise BirthError("env", errno.EINVAL, entry, f'invalid environment variable: "{entry}"')
        found[name] = value
    if not found.get("HOME"):
        found["HOME"] = home()
    return found


def enter_directory(path: str) -> bool:
    """chdir(2) into the working directory; False when only its user may. Raises BirthError."""
    try:
        os.chdir(path)
    except PermissionError:
        return False
    except OSError as error:
        raise _no_directory(path, error) from None
    return True


def require_directory(path: str) -> None:
    """chdir(2), now as the user. Raises BirthError."""
    try:
        os.chdir(path)
    except OSError as error:
        raise _no_directory(path, error) from None


def check_directory() -> None:
    """Prove that the working directory is inside the root (CVE-2024-21626). Raises BirthError.

    getcwd(2) of a directory that a leaked descriptor led to has no path from the root.
    """
    try:
        inside = os.getcwd().startswith("/")
    except FileNotFoundError:
        inside = False
    except PermissionError:
        inside = True  # a path there is, only not for this user
    if not inside:
        where = "current working directory is outside of container mount namespace root"
        message = f"{where} -- possible container breakout detected"
        raise BirthError("cwd", errno.ENOENT, "", message)


def find(name: str, search_path: str) -> str:
    """The file that a command means, as Go's exec.LookPath finds it. Raises BirthError with runc's words."""
    if "/" in name:
        problem = _problem(name)
        if problem in (errno.ENOENT, errno.ENOTDIR):
            raise _not_started(name, f"stat {name}: {reason(problem)}", problem)
        if problem:
            words = "is a directory: permission denied" if problem == errno.EISDIR else reason(problem)
            raise _not_started(name, words, problem)
        return name
    for directory in search_path.split(":") if search_path else ():
        candidate = f"{directory or '.'}/{name}"
        if _problem(candidate) == 0:
            return candidate
    raise _not_started(name, "executable file not found in $PATH", errno.ENOENT)


def execute(path: str, process: Process, variables: dict[str, str]) -> None:
    """execve(2); comes back only as BirthError."""
    try:
        os.execve(path, process.args, variables)  # noqa: S606 - the very purpose
    except OSError as error:
        number = error.errno or 0
        raise BirthError("exec", number, path, f"exec {path}: {reason(number)}") from None
    except ValueError as error:
        raise BirthError("exec", errno.EINVAL, path, f"exec {path}: {error}") from None


def _problem(path: str) -> int:
    """Why a path cannot be executed, as an errno; 0 when it can, by the effective ids."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return errno.EISDIR
        return 0 if os.access(path, os.X_OK, effective_ids=True) else errno.EACCES
    except OSError as error:
        return error.errno or errno.EIO
    except ValueError:
        return errno.ENOENT


def _not_started(name: str, why: str, number: int) -> BirthError:
    return BirthError("exec", number, name, f'exec: "{name}": {why}')


def _no_directory(path: str, error: OSError) -> BirthError:
    number = error.errno or 0
    message = f'chdir to cwd ("{path}") set in config.json failed: {reason(number)}'
    return BirthError("chdir", number, path, message)
