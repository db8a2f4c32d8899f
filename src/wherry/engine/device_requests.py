"""A container's device requests: to which driver each goes, and what they change together."""

from collections.abc import Iterable

from wherry.engine import cdi, gpus
from wherry.engine.edits import Edits, together
from wherry.model.config import DeviceRequest, HostConfig
from wherry.model.errors import EngineError


def requested(host_config: HostConfig, directories: Iterable[str]) -> Edits:
    """All that they change; `directories` are those of CDI's. Blocks. Raises EngineError in dockerd's words."""
    names: list[str] = []
    parts: list[Edits] = []
    for request in host_config.device_requests or ():
        if request.driver == cdi.DRIVER:
            names += _names(request)
        else:
            parts.append(_of_gpus(request))
    return together([cdi.edits(names, directories), *parts])


def _names(request: DeviceRequest) -> tuple[str, ...]:
    if request.count:
        raise EngineError("unexpected count in CDI device request")
    if request.options:
        raise EngineError("unexpected options in CDI device request")
    return request.device_i_ds or ()


def _of_gpus(request: DeviceRequest) -> Edits:
    alternatives = request.capabilities or ()
    able = gpus.match(alternatives) if request.driver in {"", gpus.DRIVER} else None
    if able is None:
        capabilities = " ".join(f"[{' '.join(each)}]" for each in alternatives)
        raise EngineError(f'could not select device driver "{request.driver}" with capabilities: [{capabilities}]')
    return gpus.edits(request, able)
