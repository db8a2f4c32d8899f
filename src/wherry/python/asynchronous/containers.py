"""The containers of an engine."""

from typing import Unpack, cast

from wherry.client import containers as calls
from wherry.client import system
from wherry.client.errors import NotFound
from wherry.python.asynchronous.api import Api
from wherry.python.asynchronous.container import Container
from wherry.python.asynchronous.images import Images
from wherry.python.filters import Filters, filters_of
from wherry.python.options import Command, Options, RunOptions, body_of, words
from wherry.python.outcome import Completed
from wherry.python.records.container import ContainerInfo, ContainerSummary
from wherry.python.records.record import read, read_all
from wherry.python.records.system import Pruned


class Containers:
    """Make, find and run containers."""

    def __init__(self, api: Api, images: Images) -> None:
        """Images that are missing come from `images`."""
        self._api = api
        self._images = images

    async def create(self, image: str, command: Command = (), **options: Unpack[Options]) -> Container:
        """Make a container and do not start it. Raises NotFound when the image is not there."""
        call = calls.create(
            body_of(image, command, options), name=options.get("name", ""), platform=options.get("platform", "")
        )
        answer = await self._api.ask(call)
        return Container(self._api, str(answer["Id"]), warnings=tuple(answer.get("Warnings") or ()))

    async def run(self, image: str, command: Command = (), **options: Unpack[RunOptions]) -> Container:
        """Make a container and start it; it runs when this returns. An image that is missing is pulled.

        One that cannot be started is removed again, and the error raised.
        """
        container = await self._made(image, command, options)
        try:
            await container.start()
        except BaseException:
            await container.__aexit__(None, None, None)
            raise
        return container

    async def call(
        self,
        image: str,
        command: Command = (),
        *,
        input: bytes | None = None,  # noqa: A002 - as subprocess.run has it
        check: bool = True,
        timeout: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Completed:
        """Run a container to its end and remove it: what it wrote, and its exit code.

        Raises ContainerError when that is not 0, unless `check` is False; TimedOut after `timeout` seconds.
        """
        if input is not None:
            options["stdin"] = True
        options.pop("auto_remove", None)  # it is removed when its exit code is known
        async with await self._made(image, command, options) as container:
            done = await container.complete(input, timeout=timeout)
        if check:
            done.check(f"{' '.join(words(command)) or 'the command'!r} in {image}")
        return done

    async def get(self, name: str) -> Container:
        """The container of this name, id or beginning of an id. Raises NotFound, InvalidParameter for an ambiguity."""
        info = read(ContainerInfo, await self._api.ask(calls.inspect(name)))
        return Container(self._api, info.id)

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - as docker's flag
        limit: int = -1,
        size: bool = False,
        filters: Filters | None = None,
    ) -> tuple[ContainerSummary, ...]:
        """Those that run, or `all`, newest first. Filters such as `{"label": "a=b", "status": ["exited"]}`."""
        call = calls.listing(all_states=all, limit=limit, size=size, wanted=filters_of(filters))
        return read_all(ContainerSummary, await self._api.ask(call))

    async def prune(self, *, filters: Filters | None = None) -> Pruned:
        """Remove all that do not run."""
        answer = await self._api.ask_patiently(system.prune("containers", wanted=filters_of(filters)))
        return Pruned(
            removed=tuple(answer.get("ContainersDeleted") or ()), space_reclaimed=answer.get("SpaceReclaimed", 0)
        )

    async def _made(self, image: str, command: Command, options: RunOptions) -> Container:
        pull = options.get("pull", "missing")
        made_with = cast("Options", {keyword: value for keyword, value in options.items() if keyword != "pull"})
        if pull == "always":
            await self._images.pull(image, platform=options.get("platform", ""))
        try:
            return await self.create(image, command, **made_with)
        except NotFound as error:
            if pull != "missing" or "image" not in error.message.lower():
                raise
        await self._images.pull(image, platform=options.get("platform", ""))
        return await self.create(image, command, **made_with)
