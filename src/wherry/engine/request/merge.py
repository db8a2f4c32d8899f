"""A container's configuration laid over its image's (moby `runconfig` and image `Config` semantics)."""

from msgspec.structs import replace

from wherry.model.config import Config, Healthcheck
from wherry.model.errors import InvalidParameter


def merge(user: Config, image: Config) -> Config:
    """The user's words win; lists of the image fill in what was not said.

    An entrypoint that the user gives also drops the image's command. Raises InvalidParameter when nothing is left
    to run.
    """
    cmd, entrypoint = _command(user, image)
    if not (entrypoint or cmd):
        raise InvalidParameter("no command specified")
    return replace(
        user,
        user=user.user or image.user,
        exposed_ports=_union(user.exposed_ports, image.exposed_ports),
        env=_environment(user.env or (), image.env or ()) or None,
        labels=_labels(user, image),
        cmd=cmd or None,
        entrypoint=entrypoint or None,
        healthcheck=_healthcheck(user.healthcheck, image.healthcheck),
        working_dir=user.working_dir or image.working_dir,
        volumes=_union(user.volumes, image.volumes),
        stop_signal=user.stop_signal or image.stop_signal,
        shell=user.shell or image.shell,
        on_build=user.on_build,
        args_escaped=image.args_escaped if not user.cmd else user.args_escaped,
    )


def command_line(config: Config) -> tuple[str, ...]:
    """Program and arguments: the entrypoint, then the command."""
    return (*(config.entrypoint or ()), *(config.cmd or ()))


def _command(user: Config, image: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    cmd = user.cmd or ()
    entrypoint = user.entrypoint or ()
    if not entrypoint:
        cmd = cmd or image.cmd or ()
        entrypoint = image.entrypoint or ()
    # `--entrypoint ""` arrives as one empty string: it takes the image's entrypoint away and adds none.
    return cmd, () if entrypoint == ("",) else entrypoint


def _environment(user: tuple[str, ...], image: tuple[str, ...]) -> tuple[str, ...]:
    said = {entry.partition("=")[0] for entry in user}
    return (*user, *(entry for entry in image if entry.partition("=")[0] not in said))


def _labels(user: Config, image: Config) -> dict[str, str]:
    return {**(image.labels or {}), **(user.labels or {})}


def _union(
    user: dict[str, dict[str, object]] | None, image: dict[str, dict[str, object]] | None
) -> dict[str, dict[str, object]] | None:
    return {**(image or {}), **(user or {})} or None


def _healthcheck(user: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    if user is None or image is None:
        return user or image
    return Healthcheck(
        test=user.test or image.test,
        interval=user.interval or image.interval,
        timeout=user.timeout or image.timeout,
        start_period=user.start_period or image.start_period,
        start_interval=user.start_interval or image.start_interval,
        retries=user.retries or image.retries,
    )
