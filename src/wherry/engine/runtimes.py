"""Which execution driver runs a container: our own, or one that another package brings under its runtime's name."""

from wherry.engine.engine import Engine
from wherry.model.errors import InvalidParameter

OWN_DRIVER = "native"
DOCKERS = ("runc", "io.containerd.runc.v2")
"""What dockerd has without being told; here they are names of our own."""


async def open_driver(engine: Engine, runtime: str) -> str:
    """The name of the driver for a runtime, which is open now.

    Raises InvalidParameter for a runtime that nobody has, EngineError and OSError for one that cannot be used.
    """
    if runtime in {"", engine.settings.default_runtime, *DOCKERS}:
        return OWN_DRIVER
    if runtime == OWN_DRIVER:  # what it is called inside is no runtime's name
        raise _unknown(runtime)
    if runtime not in engine.drivers:
        try:
            driver = engine.load_driver(runtime)
        except KeyError:
            raise _unknown(runtime) from None
        await driver.open()
        engine.drivers[runtime] = driver
    return runtime


def _unknown(runtime: str) -> InvalidParameter:
    return InvalidParameter(f"unknown or invalid runtime name: {runtime}")
