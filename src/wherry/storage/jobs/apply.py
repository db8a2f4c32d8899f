"""The job that unpacks a layer tar from standard input, locked into the layer's directory."""

from wherry.storage import confine
from wherry.storage.jobs.report import run
from wherry.storage.source import PipeSource
from wherry.storage.tarstream import RecordStream
from wherry.storage.unpack import Unpacker


def main() -> None:
    """Run the job."""
    run(_apply)


def _apply(root: str, lower: str, is_full: str) -> bytes:
    confine.enter(int(root))
    stream = RecordStream(PipeSource(0))
    unpacker = Unpacker(lower=int(lower), is_full=is_full == "1")
    unpacker.apply(stream)
    stream.drain()
    opaque = b"".join(path + b"\0" for path in sorted(unpacker.places.opaque))
    return b"ok %d %d\0" % (unpacker.bytes, unpacker.inodes) + opaque
