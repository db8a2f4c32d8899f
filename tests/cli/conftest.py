"""The peers: a docker client, and a dockerd of our own with a busybox image."""

import http.server
import io
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import tarfile
import threading
import time

import pytest

BUSYBOX = "/usr/bin/busybox"
# The client whose words the comparisons were made with.
CLIENT_MAJOR = "28."


@pytest.fixture(scope="session")
def docker():
    """The path of a docker client of the right age."""
    program = shutil.which("docker")
    if program is None:
        pytest.skip("no docker client is installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if not version.startswith(f"Docker version {CLIENT_MAJOR}"):
        pytest.skip(f"another docker client is installed: {version.strip()}")
    return program


@pytest.fixture(scope="session")
def both(docker, tmp_path_factory):
    """Runs the same words with docker and with us; two tuples of status, output and errors, docker's name put aside."""
    directory = tmp_path_factory.mktemp("home")

    def shown(text):
        for theirs, ours in (
            ("the Docker daemon", "the Wherry daemon"),
            ("docker ", "wherry "),
            ("docker: ", "wherry: "),
        ):
            text = text.replace(theirs, ours)
        return text

    def run(program, words, host):
        environment = {**os.environ, "DOCKER_HOST": host, "HOME": str(directory), "COLUMNS": "80"}
        environment.pop("WHERRY_HOST", None)
        done = subprocess.run(
            [*program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
            env=environment, cwd=directory,
        )  # fmt: skip
        return done.returncode, shown(done.stdout), shown(done.stderr)

    def compare(words, host, between=lambda: None):
        theirs = run([docker], words, host)
        between()
        ours = run([sys.executable, "-m", "wherry"], words, host)
        if ours != theirs and (" second" in theirs[1] or " minute" in theirs[1]):
            # An age may have grown between the two: then docker by now says what we said.
            theirs = run([docker], words, host)
        return theirs, ours

    return compare


def image():
    """A tar with busybox and its applets."""
    data = io.BytesIO()
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if applet != "busybox":
                tar.addfile(link)
        passwd = tarfile.TarInfo("etc/passwd")
        passwd.size = len(b"root:x:0:0:root:/root:/bin/sh\n")
        tar.addfile(passwd, io.BytesIO(b"root:x:0:0:root:/root:/bin/sh\n"))
    return data.getvalue()


@pytest.fixture(scope="session")
def dockerd(docker, tmp_path_factory):
    """The address of a dockerd of our own, with the image `busybox` and the containers one, two and three."""
    if shutil.which("dockerd") is None or not os.path.exists(BUSYBOX):
        pytest.skip("dockerd or busybox-static is not installed")
    directory = tmp_path_factory.mktemp("d")
    host = f"unix://{directory}/s"
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            [
                *("dockerd", "--data-root", directory / "data", "--exec-root", directory / "exec", "-H", host),
                *("--pidfile", directory / "pid", "--bridge=none", "--iptables=false"),
            ],
            stdout=log,
            stderr=log,
        )

    def call(*words, **options):
        return subprocess.run([docker, "-H", host, *words], check=True, capture_output=True, **options)

    try:
        _wait_for(directory / "s", process)
        call("import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin", "-", "busybox", input=image())
        none = ("--network", "none")
        call("create", "--name", "three", *none, "-p", "80:80", "busybox", "true")
        call("run", "-d", "--name", "two", *none, "-it", "busybox", "sh", "-c", "echo hello; exec sleep 10000")
        call("run", "-d", "--name", "one", *none, "-l", "a=b", "-v", "vol1:/data", "busybox", "sleep", "10000")
        yield host
        call("rm", "-fv", "one", "two", "three")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        subprocess.run(["umount", "-Rq", directory / "exec"], check=False, capture_output=True)


def _wait_for(path, process):
    """Ask until it serves: dockerd tells nobody when it does."""
    for _ in range(300):
        if process.poll() is not None:
            pytest.skip("dockerd does not start here")
        done = subprocess.run(["docker", "-H", f"unix://{path}", "version"], check=False, capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError("dockerd did not come up")


class _Recorder(http.server.BaseHTTPRequestHandler):
    """Says yes to everything and keeps what it was asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command not in ("GET", "HEAD"):
            self.server.seen.append((self.command, self.path, json.loads(data or b"null")))
        body = b"" if self.command == "HEAD" else b'{"Id":"abc","Name":"abc","Warnings":[]}'
        self.send_response(201 if self.command == "POST" else 200)
        for name, value in (("Api-Version", "1.50"), ("Ostype", "linux"), ("Content-Type", "application/json")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = handle_any


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        return super().get_request()[0], ("client", 0)


@pytest.fixture
def recorder(tmp_path):
    """A daemon that does nothing; `seen` are the requests, `host` its address."""
    server = _Server(str(tmp_path / "s"), _Recorder)
    server.seen = []
    server.host = f"unix://{tmp_path}/s"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
