"""Images on the wire, and what older versions of the API had more."""

from typing import Any

from wherry.api.versions import Version
from wherry.api.views.config import config_view
from wherry.images.history import Step, created_seconds
from wherry.images.remove import Removed, Untagged
from wherry.model.clock import rfc3339
from wherry.model.config import Config
from wherry.model.image import Image

# Of the configuration an image shows what it can say about its containers (28.5); always, or when not empty.
_ALWAYS = ("Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir")
_WHEN_SAID = ("ArgsEscaped", "ExposedPorts", "Healthcheck", "Shell", "StopSignal")
_UNTIL_1_49 = (
    "AttachStderr", "AttachStdin", "AttachStdout", "Domainname", "Hostname", "Image", "OpenStdin", "StdinOnce", "Tty",
)  # fmt: skip


def image_summary_view(image: Image, version: Version, *, containers: int = -1, shared: int = -1) -> dict[str, Any]:
    """One row of `GET /images/json`. Counts and bytes of -1 were not asked for."""
    wire = {
        "Containers": containers,
        "Created": created_seconds(image.created),
        "Id": image.id,
        "Labels": image.config.labels,
        "ParentId": image.parent,
        "RepoDigests": list(image.digests),
        "RepoTags": list(image.references),
        "SharedSize": shared,
        "Size": image.size_bytes,
    }
    if version < (1, 44):
        wire["VirtualSize"] = image.size_bytes
    if version < (1, 43):
        _name_the_nameless(wire)
    return wire


def image_view(image: Image, version: Version, *, graph_driver: str, graph_data: dict[str, str]) -> dict[str, Any]:
    """The body of `GET /images/{name}/json`."""
    return {
        "Id": image.id,
        "RepoTags": list(image.references),
        "RepoDigests": list(image.digests),
        "Parent": image.parent,
        "Comment": image.comment,
        **({"Created": image.created} if image.created else {}),
        **_old_fields(image, version),
        "DockerVersion": image.docker_version,
        "Author": image.author,
        "Config": _image_config(image.config, version),
        "Architecture": image.architecture,
        **({"Variant": image.variant} if image.variant else {}),
        "Os": image.os,
        "Size": image.size_bytes,
        "GraphDriver": {"Data": graph_data or None, "Name": graph_driver},
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in image.layers]},
        "Metadata": {"LastTagTime": rfc3339(image.last_tagged_ns)},
    }


def step_view(step: Step) -> dict[str, Any]:
    """One line of an image's history."""
    return {
        "Comment": step.comment,
        "Created": step.created,
        "CreatedBy": step.created_by,
        "Id": step.id,
        "Size": step.size_bytes,
        "Tags": list(step.tags) or None,
    }


def removed_view(removed: Removed) -> dict[str, str]:
    """One line of what `docker rmi` took away."""
    return {"Untagged": removed.name} if isinstance(removed, Untagged) else {"Deleted": removed.id}


def _name_the_nameless(wire: dict[str, Any]) -> None:
    if not wire["RepoTags"] and not wire["RepoDigests"]:
        wire["RepoTags"], wire["RepoDigests"] = ["<none>:<none>"], ["<none>@<none>"]
    elif not wire["RepoDigests"]:
        wire["RepoDigests"] = None


def _image_config(config: Config, version: Version) -> dict[str, Any]:
    wire = config_view(config)
    names = (*_ALWAYS, *(name for name in _WHEN_SAID if wire.get(name)), *(_UNTIL_1_49 if version < (1, 50) else ()))
    return {name: wire[name] for name in names}


def _old_fields(image: Image, version: Version) -> dict[str, Any]:
    old: dict[str, Any] = {}
    if version < (1, 45):
        old["ContainerConfig"] = config_view(Config())
    if version < (1, 44):
        old["VirtualSize"] = image.size_bytes
    return old
