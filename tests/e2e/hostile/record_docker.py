"""Writes docker_tars.json: what a real dockerd makes of the corpus of tars. Run by hand when Docker's ways change.

    DOCKER_HOST=unix:///… python tests/e2e/hostile/record_docker.py

The dockerd needs the overlay2 driver, and its data root must be seen from here under the same path.
"""

import json
import runpy
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def docker(*words, **options):
    return subprocess.run(["docker", *words], capture_output=True, timeout=120, check=False, **options)


def main():
    tars = runpy.run_path(str(HERE / "test_tars.py"))
    shared = runpy.run_path(str(HERE.parents[1] / "conftest.py"))
    recorded = {}
    with tars["serving"]() as registry, tempfile.TemporaryDirectory(prefix="canary-", dir="/var/tmp") as canary:
        for case, make in tars["CORPUS"].items():
            layers = [layer.bytes() for layer in make(shared["Layer"], Path(canary))]
            recorded[case] = tars["take_in"](docker, registry, layers, shared["describe_tree"])
    version = docker("version", "-f", "{{.Server.Version}}").stdout.decode().strip()
    lines = ",\n".join(f"{json.dumps(case)}: {json.dumps(found)}" for case, found in recorded.items())
    (HERE / "docker_tars.json").write_text(f'{{"version": {json.dumps(version)}, "cases": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
