"""What a command that ended leaves: its exit code and what it wrote."""

from collections.abc import Iterable
from dataclasses import dataclass

from wherry.python.errors import ContainerError
from wherry.python.frames import Chunk


@dataclass(frozen=True, slots=True)
class Completed:
    """A command's end. `output` has both streams in the order in which they came."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    output: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", "replace")

    def check(self, subject: str) -> None:
        """Raise ContainerError, which names `subject`, unless the exit code is 0."""
        if self.exit_code:
            raise ContainerError(subject, self.exit_code, self.stdout, self.stderr)


def completed(exit_code: int, chunks: Iterable[Chunk]) -> Completed:
    """The streams put together."""
    found = list(chunks)
    return Completed(
        exit_code,
        b"".join(chunk.data for chunk in found if chunk.stream == "stdout"),
        b"".join(chunk.data for chunk in found if chunk.stream == "stderr"),
        b"".join(chunk.data for chunk in found),
    )
