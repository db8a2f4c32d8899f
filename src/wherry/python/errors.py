"""What the library raises beyond the errors of the client, of which each is the API's own.

```
wherry.ClientError
├── …                   as in wherry.client.errors: Unreachable, NotFound, Conflict …
├── ContainerError      a command ended with another code than 0
├── NotReady            a container did not become ready in time, or ended before
├── PullError           an engine told of a failure in the midst of a pull, push, load or import
└── EngineFailed        an engine in this process could not start
```
"""

from wherry.client.errors import ClientError


class ContainerError(ClientError):
    """A command ended with `exit_code`; `stdout` and `stderr` are what it wrote."""

    def __init__(self, subject: str, exit_code: int, stdout: bytes = b"", stderr: bytes = b"") -> None:
        """Keep all of it; the message ends with the last of what it complained of."""
        words = (stderr or stdout).decode("utf-8", "replace").strip()
        super().__init__(f"{subject} ended with exit code {exit_code}" + (f": {words[-500:]}" if words else ""))
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


class NotReady(ClientError):
    """It was waited for in vain; `logs` is the last that the container said."""

    def __init__(self, message: str, logs: bytes = b"") -> None:
        """Keep the logs beside the reason."""
        words = logs.decode("utf-8", "replace").strip()
        super().__init__(message + (f"; it said:\n{words}" if words else ""))
        self.logs = logs


class PullError(ClientError):
    """What an engine said in a stream of progress messages when it gave up."""


class EngineFailed(ClientError):
    """An engine in this process cannot run here; the message says why."""
