"""What a verb raises to end the program with a sentence and an exit status."""

from __future__ import annotations


class CommandError(Exception):
    """The program ends with `status` after printing the message, if there is one, to the error stream."""

    def __init__(self, message: str = "", *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class UsageError(CommandError):
    """What was typed cannot be read; the verb's usage line and a pointer to its help follow the message."""

    def __init__(self, message: str, *, status: int = 125) -> None:
        super().__init__(message, status=status)
