"""GPUs by NVIDIA's hook, for requests to the driver `nvidia` or to any that can do it (moby daemon/nvidia_linux.go).

The NVIDIA Container Toolkit's `nvidia-container-runtime-hook` puts devices and libraries into the container; which of
them, it reads from the container's environment.
"""

import os
import shutil
from collections.abc import Sequence

from wherry.engine.edits import Edits
from wherry.model.config import DeviceRequest
from wherry.model.errors import EngineError
from wherry.oci.runtime import Hook, Hooks

DRIVER = "nvidia"
HOOK = "nvidia-container-runtime-hook"
# What the hook itself tells apart.
_CAPABILITIES = frozenset({"compute", "compat32", "graphics", "utility", "video", "display"})
_KNOWN = _CAPABILITIES | {"gpu", DRIVER}


def match(alternatives: Sequence[Sequence[str]]) -> Sequence[str] | None:
    """The first of the sets of capabilities that GPUs here have all of, None for no such set or no hook."""
    if shutil.which(HOOK) is None:
        return None
    return next((wanted for wanted in alternatives if _KNOWN.issuperset(wanted)), None)


def edits(request: DeviceRequest, capabilities: Sequence[str]) -> Edits:
    """What one request changes, with what `match` gave. Raises EngineError in dockerd's words."""
    path = shutil.which(HOOK)
    if path is None:
        raise EngineError(f'exec: "{HOOK}": executable file not found in $PATH')
    if request.count and request.device_i_ds:
        raise EngineError("cannot set both Count and DeviceIDs on device request")
    said = [f"NVIDIA_VISIBLE_DEVICES={_devices(request)}"]
    if wanted := [name for name in capabilities if name in _CAPABILITIES]:
        said.append(f"NVIDIA_DRIVER_CAPABILITIES={','.join(wanted)}")
    environment = tuple(f"{name}={value}" for name, value in os.environ.items())
    hook = Hook(path=path, args=(HOOK, "prestart"), env=environment)
    return Edits(env=tuple(said), hooks=Hooks(prestart=(hook,)))


def _devices(request: DeviceRequest) -> str:
    if request.device_i_ds:
        return ",".join(request.device_i_ds)
    if request.count < 0:
        return "all"
    return ",".join(map(str, range(request.count))) or "void"
