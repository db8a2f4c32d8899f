"""Writes docker_events.json: what a real dockerd tells of the story. Run by hand when Docker's ways change.

DOCKER_HOST=unix:///… python tests/e2e/told/record_docker.py BUSYBOX_TAR
"""

import json
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from docker import DockerClient

HERE = Path(__file__).parent


def docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, timeout=120, check=False)


def main():
    test = runpy.run_path(str(HERE / "test_events_told.py"))
    client = DockerClient.from_env()
    with tempfile.TemporaryDirectory() as directory:
        said = test["play"](docker, client, sys.argv[1], directory)
    lines = ",\n".join(f"{json.dumps(step)}: {json.dumps(told, indent=1)}" for step, told in said.items())
    version = json.dumps(client.version()["Version"])
    (HERE / "docker_events.json").write_text(f'{{"version": {version}, "steps": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
