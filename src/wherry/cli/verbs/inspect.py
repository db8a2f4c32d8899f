"""`inspect`: all about containers, images, networks or volumes, as JSON or through a template."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.listing import FORMAT_HELP_SHORT
from wherry.cli.output import complain, emit
from wherry.client import containers, images, networks, volumes
from wherry.client.errors import ApiError, NotFound
from wherry.jsontext import decode, indent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

TYPES = ("container", "image", "network", "volume")
# Fields that Go's types have and JSON leaves out when they are empty: nil in a template, not an error.
OPTIONAL = frozenset(
    {
        "Health", "Healthcheck", "ExposedPorts", "GraphDriver", "ImageManifestDescriptor", "Labels", "MacAddress",
        "Mounts", "Node", "OnBuild", "Options", "SizeRootFs", "SizeRw", "Status", "StopSignal", "StopTimeout",
        "Tmpfs", "UsageData", "Shell", "Sysctls", "StorageOpt", "Annotations", "NetworkDisabled", "Init", "Comment",
    }
)  # fmt: skip

NOT_SERVED = ("config", "node", "plugin", "secret", "service", "task")


def _find(session: Session, kind: str, name: str, given: Given) -> str:
    """What the daemon says about `name`, as JSON text. Raises ApiError."""
    calls: dict[str, Callable[[], str]] = {
        "container": lambda: session.client.text(containers.inspect(name, size=given.values.get("size", False))),
        "image": lambda: session.client.text(images.inspect(name, platform=_platform(given))),
        "network": lambda: session.client.text(networks.inspect(name, verbose=given.values.get("verbose", False))),
        "volume": lambda: session.client.text(volumes.inspect(name)),
    }
    return calls[kind]()


def _platform(given: Given) -> str:
    text = given.values.get("platform", "")
    if not text:
        return ""
    from wherry.cli.platforms import as_json

    return as_json(text)


def _any(session: Session, given: Given, name: str) -> str:
    """The first kind that has something of this name."""
    for kind in TYPES:
        try:
            return _find(session, kind, name, given)
        except NotFound:
            continue
        except ApiError as error:
            # Names that cannot be an image or a container are still those of other things.
            if error.status != 400:
                raise
    raise CommandError(f"Error: No such object: {name}")


def _inspect(session: Session, given: Given, names: list[str]) -> int:
    kind = given["type"]
    if "type" in given.changed and kind not in TYPES:
        if kind in NOT_SERVED:
            raise CommandError(f"wherry has no objects of type {kind}")
        known = ", ".join(f'"{name}"' for name in TYPES)
        raise CommandError(f'unknown type: "{kind}": must be one of {known}')
    if kind:
        return _show(names, given["format"], lambda name: _find(session, kind, name, given))
    return _show(names, given["format"], lambda name: _any(session, given, name))


def _of(kind: str) -> Callable[[Session, Given, list[str]], int]:
    return lambda session, given, names: _show(names, given["format"], lambda name: _find(session, kind, name, given))


def _show(names: list[str], form: str, find: Callable[[str], str]) -> int:
    """Show what is found, then tell what is not; 1 if anything is missing."""
    found: list[str] = []
    errors: list[str] = []
    for name in names:
        try:
            found.append(find(name).strip())
        except (ApiError, CommandError) as error:
            errors.append(str(error))
    if form in ("", "json"):
        joined = "[" + ",".join(found) + "]"
        emit((indent(joined) if not form else joined) + "\n")
    else:
        _templated(found, form)
    for text in errors:
        complain(text)
    return 1 if errors else 0


def _templated(found: list[str], form: str) -> None:
    from wherry.gotemplate import Template, TemplateError

    try:
        template = Template(form)
    except TemplateError as error:
        raise CommandError(f"template parsing error: {error}", status=64) from error
    for text in found:
        try:
            emit(template.render(decode(text), optional=OPTIONAL.__contains__) + "\n")
        except TemplateError as error:
            emit("\n")
            raise CommandError(f"template parsing error: {error}") from error
    if not found:
        emit("\n")


FORMAT = Flag("format", "f", STRING, FORMAT_HELP_SHORT)
SIZE = Flag("size", "s", BOOL, "Show sizes on disk, of containers")

INSPECT = Verb(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    _inspect,
    FORMAT,
    SIZE,
    Flag("type", "", STRING, "Look only for things of this type"),
    arguments=(1, None),
)
CONTAINER_INSPECT = Verb("[OPTIONS] CONTAINER [CONTAINER...]", _of("container"), FORMAT, SIZE, arguments=(1, None))
IMAGE_INSPECT = Verb(
    "[OPTIONS] IMAGE [IMAGE...]",
    _of("image"),
    FORMAT,
    Flag("platform", "", STRING, "Platform of the image (os[/arch[/variant]])"),
    arguments=(1, None),
)
NETWORK_INSPECT = Verb(
    "[OPTIONS] NETWORK [NETWORK...]",
    _of("network"),
    FORMAT,
    Flag("verbose", "v", BOOL, "Show more, for diagnostics"),
    arguments=(1, None),
)
VOLUME_INSPECT = Verb("[OPTIONS] VOLUME [VOLUME...]", _of("volume"), FORMAT, arguments=(1, None))
