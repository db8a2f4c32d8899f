"""Bundles on disk and the runtime as a program."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import wherry.oci.runtime as oci

RUNTIME = Path(sys.executable).parent / "wherry-runtime"


class Runtime:
    """`wherry-runtime` with a root and a bundle of its own."""

    def __init__(self, directory: Path, cellar) -> None:
        self.directory = directory
        self.cellar = cellar
        self.bundle = directory / "bundle"
        self.bundle.mkdir()
        self.made: list[str] = []

    def configure(self, *args, **changes):
        """Write config.json and give a fresh id."""
        changes.setdefault("root", oci.Root(path=str(self.cellar.rootfs)))
        changes.setdefault("linux", {})
        name = f"wherry-test-{uuid.uuid4().hex[:12]}"
        changes["linux"] = {"cgroups_path": f"/wherry-tests/{name}"} | changes["linux"]
        (self.bundle / "config.json").write_bytes(oci.encode(self.cellar.spec(*args, **changes)))
        self.made.append(name)
        return name

    def __call__(self, *words, stdin=subprocess.DEVNULL, **rest):
        command = [str(RUNTIME), "--root", str(self.directory / "state"), *words]
        # Output goes to files: a container that lives on would hold a pipe open.
        with (self.directory / "out").open("w+b") as out, (self.directory / "err").open("w+b") as err:
            done = subprocess.run(command, stdin=stdin, stdout=out, stderr=err, cwd=self.bundle, timeout=60, **rest)
            out.seek(0)
            err.seek(0)
            done.stdout, done.stderr = out.read().decode(), err.read().decode()
        return done

    def ok(self, *words, **rest):
        done = self(*words, **rest)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def message(self, *words, code=1):
        """The message of a verb that must fail."""
        log = self.directory / "log.json"
        log.unlink(missing_ok=True)
        done = self("--log", str(log), "--log-format", "json", *words)
        assert done.returncode == code
        return json.loads(log.read_text().splitlines()[-1])["msg"]

    def state(self, name):
        return json.loads(self.ok("state", name))

    def clean(self):
        for name in self.made:
            self("delete", "--force", name)
        state = self.directory / "state"
        assert not state.exists() or os.listdir(state) == []


@pytest.fixture
def runtime(tmp_path, cellar):
    runtime = Runtime(tmp_path, cellar)
    yield runtime
    runtime.clean()
    for parent in Path("/sys/fs/cgroup").glob("*/wherry-tests"):
        parent.rmdir()
    unified = Path("/sys/fs/cgroup/wherry-tests")
    if unified.is_dir():
        unified.rmdir()
