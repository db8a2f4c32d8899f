"""A whole distribution: Debian as mmdebstrap makes it, with apt, a Python web server and bash in tmux."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

SUITE = "bookworm"
PACKAGES = "python3,procps"
BUILD_SECONDS = 600
WAIT_SECONDS = 20
COLUMNS, LINES = 100, 30
SLEEPER = "sh -c 'echo asleep; exec sleep 1000'"  # in the foreground once it has said so


@pytest.fixture(scope="session")
def debian_tar():
    """Made once for all runs; the cache holds it until the suite or its packages change."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry-tests"
    tar = cache / f"debian-{SUITE}-{PACKAGES.replace(',', '-')}.tar"
    if tar.exists():
        return tar
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed")
    cache.mkdir(parents=True, exist_ok=True)
    partial = cache / f".{tar.name}.{os.getpid()}.tar"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS)
    if done.returncode:
        partial.unlink(missing_ok=True)
        pytest.skip(f"mmdebstrap cannot make Debian here: {done.stderr.strip().splitlines()[-1:]}")
    partial.rename(tar)
    return tar


@pytest.fixture(scope="module")
def debian(shared_daemon, debian_tar):
    """The image `debian`, for the tests of this file."""
    shared_daemon.docker("import", "--change", 'CMD ["bash"]', debian_tar, "debian:latest", timeout=300)
    yield "debian"
    shared_daemon.docker("rmi", "-f", "debian:latest")


pytestmark = pytest.mark.timeout(BUILD_SECONDS + 300)


def test_apt_says_its_version(debian, daemon):
    said = daemon.out("run", "--rm", debian, "apt-get", "--version")
    assert said.startswith("apt ")
    assert "Supported modules:" in said


def test_packages_can_be_removed(debian, daemon):
    """A package manager renames, links and syncs a lot on what came from the image."""
    script = "dpkg --purge procps >/dev/null && ! command -v ps && dpkg --audit && echo fine"
    assert daemon.out("run", "--rm", debian, "bash", "-c", script) == "fine"


def test_a_python_web_server_behind_a_published_port(debian, daemon):
    serve = "mkdir /site && echo from python > /site/index.html && exec python3 -m http.server -d /site 8000"
    daemon.docker("run", "-d", "--name", "site", "-p", "127.0.0.1::8000", debian, "bash", "-c", serve)
    where = daemon.out("port", "site", "8000")
    assert fetch(f"http://{where}/") == "from python\n"
    assert "GET / HTTP/1.1" in daemon.docker("logs", "site").stderr
    daemon.docker("stop", "-t", "1", "site")


def fetch(url):
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Tmux:
    """A tmux of its own with one window, in which a shell runs on the host."""

    def __init__(self, directory, environment):
        self._socket = directory / "tmux"
        self._environment = {**environment, "TERM": "xterm"}
        self._tmux("new-session", "-d", "-x", COLUMNS, "-y", LINES, "exec env PS1='host> ' bash --noprofile --norc")
        self._tmux("set-option", "-g", "window-size", "manual")

    def _tmux(self, *words):
        command = ["tmux", "-f", "/dev/null", "-S", str(self._socket), *map(str, words)]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout

    def type(self, line):
        self._tmux("send-keys", "-l", line)
        self.press("Enter")

    def press(self, key):
        self._tmux("send-keys", key)

    def resize(self, columns, lines):
        self._tmux("resize-window", "-x", columns, "-y", lines)

    def screen(self):
        return [line.rstrip() for line in self._tmux("capture-pane", "-p").rstrip().splitlines()]

    def wait_for(self, *lines):
        """Until these are the last lines of the screen; tmux has no event for what is drawn."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (screen := self.screen())[-len(lines) :] != list(lines):
            assert time.monotonic() < deadline, "\n".join(screen)
            time.sleep(0.02)

    def close(self):
        self._tmux("kill-server")


@pytest.fixture
def tmux(daemon, tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    made = Tmux(tmp_path, daemon.environment)
    yield made
    made.close()


@pytest.fixture(params=["docker", "wherry"])
def bash(request, debian, daemon, tmux):
    """An interactive bash in a container in tmux, with a prompt of its own."""
    program = "docker" if request.param == "docker" else Path(sys.executable).with_name("wherry")
    tmux.type("clear")
    tmux.type(f"{program} run -it --rm --name shell -e PS1='box> ' {debian} bash --noprofile --norc")
    tmux.wait_for("box>")
    tmux.type("clear")
    tmux.wait_for("box>")
    return tmux


def test_bash_in_tmux_is_interrupted(bash):
    bash.type(SLEEPER)
    bash.wait_for("asleep")
    bash.press("C-c")
    bash.wait_for("asleep", "^C", "box>")
    bash.type("echo $?")
    bash.wait_for("130", "box>")


def test_bash_in_tmux_controls_its_jobs(bash):
    bash.type(SLEEPER)
    bash.wait_for("asleep")
    bash.press("C-z")
    bash.wait_for("^Z", f"[1]+  Stopped                 {SLEEPER}", "box>")
    bash.type("bg")
    bash.wait_for(f"[1]+ {SLEEPER} &", "box>")
    bash.type("jobs")
    bash.wait_for(f"[1]+  Running                 {SLEEPER} &", "box>")
    bash.type("kill %1; wait %1; code=$?; clear; echo code $code")
    bash.wait_for("code 143", "box>")


def test_bash_in_tmux_knows_the_windows_size(bash):
    bash.type("stty size")
    bash.wait_for(f"{LINES} {COLUMNS}", "box>")
    # Docker's CLI passes its own SIGWINCH on by a call beside the one that resizes, and either may come first:
    # so bash waits for both, the signal and the size.
    bash.type("trap resized=1 WINCH")
    bash.wait_for("box> trap resized=1 WINCH", "box>")
    bash.type("echo waiting; until [ $resized ] && [ \"$(stty size)\" = '23 87' ]; do :; done; stty size")
    bash.wait_for("waiting")
    bash.resize(87, 23)
    bash.wait_for("23 87", "box>")


def test_bash_in_tmux_edits_lines_and_ends_with_its_code(bash):
    bash.type("echo wrong")
    bash.wait_for("wrong", "box>")
    bash.press("Up")
    for _ in range(5):
        bash.press("BSpace")
    bash.type("right")
    bash.wait_for("box> echo right", "right", "box>")
    bash.type("exit 42")
    bash.wait_for("host>")
    bash.type("echo code $?")
    bash.wait_for("code 42", "host>")
