"""The option `tag`: a Go template over the container, by which drivers call its lines."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from wherry.gotemplate import Row, Template, TemplateError
from wherry.logs.subject import Subject
from wherry.model.clock import NANOSECONDS
from wherry.model.errors import InvalidParameter

DEFAULT = "{{.ID}}"

# What a template may ask for: methods and fields of moby's logger.Info.
_FIELDS: dict[str, Callable[[Subject], Any]] = {
    "ID": lambda subject: subject.short_id,
    "FullID": lambda subject: subject.id,
    "Name": lambda subject: subject.name,
    "ImageID": lambda subject: subject.short_image_id,
    "ImageFullID": lambda subject: subject.image_id,
    "ImageName": lambda subject: subject.image_name,
    "DaemonName": lambda subject: subject.daemon_name,
    "Command": lambda subject: " ".join(subject.command),
    "Hostname": lambda subject: subject.host_name,
    "Config": lambda subject: dict(subject.options),
    "ContainerID": lambda subject: subject.id,
    "ContainerName": lambda subject: f"/{subject.name}",
    "ContainerImageID": lambda subject: subject.image_id,
    "ContainerImageName": lambda subject: subject.image_name,
    "ContainerCreated": lambda subject: _created(subject.created_ns),
    "ContainerEntrypoint": lambda subject: subject.command[0] if subject.command else "",
    "ContainerArgs": lambda subject: list(subject.command[1:]),
    "ContainerEnv": lambda subject: list(subject.env),
    "ContainerLabels": lambda subject: dict(subject.labels),
    "ExtraAttributes": lambda subject: lambda _: subject.extra_attributes(),
}


def tag_of(subject: Subject, default: str = DEFAULT) -> str:
    """The tag. Raises InvalidParameter in Go's words.

    Labels and variables may be an image's, so what is no letter becomes `_`: else a line's end in a label would let the
    image write messages of its own into a server's log.
    """
    text = subject.options.get("tag") or default
    try:
        tag = Template(text, name="log-tag").render(Row(subject, _FIELDS, "*logger.Info"))
        return "".join(letter if letter.isprintable() else "_" for letter in tag)
    except TemplateError as error:
        raise InvalidParameter(str(error)) from None


def _created(time_ns: int) -> str:
    """Go's time.Time.String in UTC."""
    seconds, fraction = divmod(time_ns, NANOSECONDS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + " +0000 UTC"
