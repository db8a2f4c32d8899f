"""The runtime's log: logrus' text or JSON lines, which containerd reads errors from."""

import json
import os
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Where lines go, and how. An empty path is stderr."""

    path: str = ""
    is_json: bool = False
    is_debug: bool = False

    def error(self, message: str) -> None:
        """Write an error; when the log is a file, stderr gets its message too."""
        self._write("error", message)
        if self.path:
            print(message, file=sys.stderr)

    def warning(self, message: str) -> None:
        """Write a warning."""
        self._write("warning", message)

    def debug(self, message: str) -> None:
        """Write a line for debugging, if they are wanted."""
        if self.is_debug:
            self._write("debug", message)

    def _write(self, level: str, message: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.is_json:
            line = json.dumps(
                {"level": level, "msg": message, "time": stamp}, separators=(",", ":"), ensure_ascii=False
            )
        else:
            quoted = json.dumps(message, ensure_ascii=False)
            line = f'time="{stamp}" level={level} msg={quoted}'
        data = (line + "\n").encode(errors="replace")
        if not self.path:
            os.write(2, data)
            return
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
