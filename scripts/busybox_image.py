"""Writes a root file system around the static busybox to standard output, as a tar."""

import shutil
import sys
from pathlib import Path

from wherry.images.seed import busybox_tar

program = shutil.which("busybox")
if program is None:
    sys.exit("busybox is not here: install the package busybox-static")
sys.stdout.buffer.write(busybox_tar(Path(program)))
