#!/usr/bin/env python3
"""Runs commands in machines, one after the other, while its caller does something else.

The caller writes one line, an object of commands by name in JSON, and reads a line for each in that order: its name,
its status and what it said. This process stays until the caller closes the other end, and so does no machine after it.
"""

import json
import subprocess
import sys
import threading
from pathlib import Path

MACHINE = Path(__file__).parent / "machine.py"


def main():
    """Run what comes by stdin."""
    timeout, commands = json.loads(sys.stdin.readline())
    running = []
    caller = threading.Thread(target=end_with_caller, args=(running,))
    caller.start()
    for name, command in commands.items():
        with subprocess.Popen(
            [sys.executable, MACHINE, "--timeout", str(timeout), "--", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as machine:  # fmt: skip
            running[:] = [machine]
            if not caller.is_alive():
                machine.terminate()
            out, error = machine.communicate()
        if not caller.is_alive():
            return
        print(json.dumps([name, machine.returncode, out, error]), flush=True)
    caller.join()


def end_with_caller(running):
    """Switch the machine off that runs when the caller goes."""
    sys.stdin.read()
    for machine in running:
        machine.terminate()


if __name__ == "__main__":
    main()
