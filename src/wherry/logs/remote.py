"""What the drivers have in common that send lines elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from wherry.logs.driver import Keeping, Sender
from wherry.logs.kept import cache_keeping
from wherry.logs.options import ATTRIBUTE_OPTIONS, check_common, check_names
from wherry.logs.subject import Subject


class RemoteDriver(ABC):
    """`wherry.logs.driver.LogDriver` but for its own options and its sender."""

    name = ""
    options: tuple[str, ...] = ()
    unknown_words = ""
    sends = True
    defaults: Mapping[str, str] = {}

    def check(self, options: Mapping[str, str]) -> None:
        """What dockerd finds wrong at create. Raises InvalidParameter."""
        check_common(options)
        check_names(
            options,
            (*self.options, *ATTRIBUTE_OPTIONS),
            words=self.unknown_words or f"unknown log opt '{{}}' for {self.name} log driver",
        )
        self.check_own(options)

    @abstractmethod
    def check_own(self, options: Mapping[str, str]) -> None:
        """The values of its own options. Raises InvalidParameter."""

    def keeping(self, options: Mapping[str, str]) -> Keeping:
        """The cache that `docker logs` reads, and the sender. Raises InvalidParameter."""
        return cache_keeping(options)

    def attributes(self, subject: Subject) -> Mapping[str, str]:
        """Labels and variables that were chosen. Raises InvalidParameter."""
        return subject.extra_attributes()

    @abstractmethod
    def sender(self, subject: Subject) -> Sender:
        """What sends a container's lines; not connected yet. Raises InvalidParameter."""
