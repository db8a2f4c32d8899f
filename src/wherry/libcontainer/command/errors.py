"""How a verb of the command line fails: runc's words, and the exit status."""


class CommandError(Exception):
    """A verb that cannot be done; the message goes to the log and to stderr."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(CommandError):
    """A command line that cannot be understood."""


def not_found() -> CommandError:
    """No such container."""
    return CommandError("container does not exist")
