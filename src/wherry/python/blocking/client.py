"""The front of the library: an engine, wherever it is."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Self, Unpack

from wherry.client import sessions, system
from wherry.client.client import Answer
from wherry.client.errors import NotFound, Unreachable
from wherry.python.blocking.api import api_at
from wherry.python.blocking.container import Container
from wherry.python.blocking.containers import Containers
from wherry.python.blocking.images import Images
from wherry.python.blocking.networks import Networks
from wherry.python.blocking.streams import RecordStream
from wherry.python.blocking.volumes import Volumes
from wherry.python.filters import Filters, filters_of
from wherry.python.options import Command, RunOptions
from wherry.python.outcome import Completed
from wherry.python.quantities import moment_of
from wherry.python.records.record import read
from wherry.python.records.system import DiskUsage, Event, SystemInfo, VersionInfo
from wherry.python.where import SECONDS, Place, place_of

SESSION_HEADER = "X-Wherry-Session"


class Client:
    """An engine that is spoken to by its API. Use it as a context manager, or `close` it.

    `containers`, `images`, `volumes` and `networks` are what it has; `run` and `call` are those of `containers`.
    """

    def __init__(
        self,
        place: Place,
        *,
        timeout: float | None = SECONDS,
        version: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is asked yet; `connect` is what makes one from a URL."""
        self._place = place
        self._api = api_at(place, seconds=timeout, version=version, headers=headers)
        self.containers = Containers(self._api, Images(self._api))
        self.images = Images(self._api)
        self.volumes = Volumes(self._api)
        self.networks = Networks(self._api)

    @property
    def url(self) -> str:
        """Where the engine is, such as `unix:///run/wherry.sock`."""
        return self._api.client.address.text

    def run(self, image: str, command: Command = (), **options: Unpack[RunOptions]) -> Container:
        """See Containers.run."""
        return self.containers.run(image, command, **options)

    def call(
        self,
        image: str,
        command: Command = (),
        *,
        input: bytes | None = None,  # noqa: A002 - as subprocess.run has it
        check: bool = True,
        timeout: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Completed:
        """See Containers.call."""
        return self.containers.call(image, command, input=input, check=check, timeout=timeout, **options)

    def ping(self) -> None:
        """Return when it answers. Raises Unreachable."""
        (self._api.stream(system.ping(), seconds=self._api.seconds)).read()

    def version(self) -> VersionInfo:
        """Versions of the engine."""
        return read(VersionInfo, self._api.ask(system.version()))

    def info(self) -> SystemInfo:
        """Its state and abilities."""
        return read(SystemInfo, self._api.ask(system.info()))

    def df(self) -> DiskUsage:
        """What takes how much of its disk."""
        return read(DiskUsage, self._api.ask_patiently(system.disk_usage()))

    def events(
        self,
        *,
        since: datetime | float | str | None = None,
        until: datetime | float | str | None = None,
        filters: Filters | None = None,
    ) -> RecordStream[Event]:
        """What happens from now on, or from `since`; without `until` it goes on until it is closed."""
        call = system.events(since=moment_of(since), until=moment_of(until), wanted=filters_of(filters))
        return RecordStream(self._api.stream(call), lambda value: read(Event, value))

    def session(self, *, grace: float = 0.0) -> "Scope":
        """A client whose containers and volumes are removed when it is closed, or this process ends or is killed.

        `grace` is how many seconds they may stay without it. Needs Wherry behind the API: dockerd raises NotFound.
        """
        answer = self._api.stream(sessions.hold(grace_seconds=grace))
        return Scope(self._place, answer, str((next(answer.lines()))["Id"]), timeout=self._api.seconds)

    def close(self) -> None:
        """Give up idle connections; it can still be used."""
        self._api.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class Scope(Client):
    """A client of a session: what it makes goes with it. `id` is for others who are to make things in it, too."""

    def __init__(self, place: Place, held: Answer, identifier: str, *, timeout: float | None) -> None:
        """The session lasts as long as `held`."""
        super().__init__(place, timeout=timeout, headers={SESSION_HEADER: identifier})
        self._held = held
        self.id = identifier

    def close(self) -> None:
        """End it; nothing that it made is left when this returns. Safe to repeat."""
        with suppress(NotFound, Unreachable):  # it may have ended already, or the engine has
            self._api.ask_patiently(sessions.end(self.id))
        self._held.close()
        super().close()


def connect(url: str | None = None, *, timeout: float | None = SECONDS, version: str | None = None) -> Client:
    """A client of the engine at `url`: unix://, tcp:// or ssh://.

    None means WHERRY_HOST, DOCKER_HOST or Wherry's own socket; TLS is as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH say.
    `timeout` is how long the engine may be silent in an ordinary call, in seconds. `version` fixes the API's version,
    None negotiates it. Nothing is asked yet, so it raises nothing but BadAddress.
    """
    return Client(place_of(url), timeout=timeout, version=version)
