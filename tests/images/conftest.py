"""Libraries on real storage, real registries on loopback, and one registry that misbehaves when told to."""

import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from aiohttp import web

from wherry.images.content import Content
from wherry.images.find import find
from wherry.images.import_ import ImportRequest, import_image
from wherry.images.library import Library, Limits
from wherry.images.seed import busybox_tar
from wherry.model.image import Image, Tag
from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf
from wherry.registry.client import Registries
from wherry.registry.hosts import RegistryOptions
from wherry.storage.vfs import Vfs

# `htpasswd -Bbn wherry secret`
HTPASSWD = "wherry:$2y$05$i4mg7dsFBzyrPkmYuxgT4OBT1e2r0OmdH/dGeg3zttdYoNIl0heI2\n"
START_SECONDS = 20


class FastClock:
    """Sleeping takes no time, and is remembered."""

    def __init__(self):
        self.slept = []
        self.now = 0.0

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Messages(list):
    """A report that keeps what it is told."""

    def __call__(self, progress):
        self.append(progress)

    def lines(self):
        """What a terminal would show in the end, transfers left out."""
        return [f"{p.id}: {p.status}" if p.id else p.status for p in self if p.current < 0 and p.status]


@pytest.fixture(autouse=True)
def no_descriptor_is_left():
    """A test closes what it opens, and ends what it starts."""
    before = descriptors_and_children()
    yield
    assert descriptors_and_children() == before


def descriptors_and_children():
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return len(os.listdir("/proc/self/fd")), children


@pytest.fixture
def library_events():
    """The events that all libraries of a test published."""
    return []


@pytest.fixture
async def make_library(tmp_path, library_events):
    """A maker of libraries, each with a place of its own."""
    made = []

    def make(name="library", *, storage=None, options=None, limits=None):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        ledger = Ledger(root / "wherry.db")
        library = Library(
            content=Content(root / "content"),
            storage=storage or Vfs(root / "snapshots"),
            images=Shelf(ledger, "images", Image),
            tags=Shelf(ledger, "tags", Tag),
            registries=Registries(options or RegistryOptions(certs_dir=root / "certs.d"), FastClock()),
            limits=limits or Limits(),
            publish=library_events.append,
        )
        made.append((library, ledger))
        return library

    yield make
    for library, ledger in made:
        await library.close()
        ledger.close()


@pytest.fixture
async def library(make_library):
    return make_library()


def make_tar(files):
    """A tar out of a mapping from names to contents."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


async def body_of(data, *, size=65536):
    """Bytes as the body of a request."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def collect(stream):
    return b"".join([piece async for piece in stream])


def run(command):
    """Another program's output."""
    needs(command[0])
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def tools():
    """Small functions that tests share."""

    class Tools:
        tar = staticmethod(make_tar)
        digest = staticmethod(digest_of)
        body = staticmethod(body_of)
        collect = staticmethod(collect)
        messages = Messages
        run = staticmethod(run)

    return Tools


class FakeRegistry:
    """A registry in memory. `on_blob`, `on_manifest` may answer in its place; `token` turns on bearer tokens."""

    def __init__(self):
        self.blobs = {}
        self.manifests = {}
        self.requests = []
        self.on_blob = None
        self.on_manifest = None
        self.token = None
        self.tokens_given = 0
        self.uploads = {}
        self.mounts = set()
        self.port = 0

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def add(self, repository, tag, layers, *, compress=gzip.compress, kind="oci", config=None, broken_diff_ids=None):
        """Put an image in: plain layer tars, the compression, and whatever is to be wrong about it."""
        oci = kind == "oci"
        diff_ids = broken_diff_ids or [digest_of(layer) for layer in layers]
        document = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}} | (config or {})
        document["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
        body = json.dumps(document).encode()
        packed = [compress(layer) for layer in layers]
        for blob in (body, *packed):
            self.blobs[digest_of(blob)] = blob
        config_type = (
            "application/vnd.oci.image.config.v1+json" if oci else "application/vnd.docker.container.image.v1+json"
        )
        layer_type = (
            "application/vnd.oci.image.layer.v1.tar+gzip"
            if oci
            else "application/vnd.docker.image.rootfs.diff.tar.gzip"
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json"
            if oci
            else "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": config_type, "digest": digest_of(body), "size": len(body)},
            "layers": [{"mediaType": layer_type, "digest": digest_of(blob), "size": len(blob)} for blob in packed],
        }
        return self.add_manifest(repository, tag, manifest)

    def add_manifest(self, repository, tag, manifest):
        body = json.dumps(manifest).encode()
        digest = digest_of(body)
        for reference in (tag, digest):
            self.manifests[repository, reference] = (manifest.get("mediaType", ""), body)
        return digest

    def paths(self, method="GET"):
        return [path for each, path, _headers in self.requests if each == method]

    async def handle(self, request):
        path = request.path_qs
        self.requests.append((request.method, path, dict(request.headers)))
        if path.startswith("/token"):
            return self._give_token(request)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return self._challenge()
        if request.path == "/v2/":
            return web.json_response({})
        return await self._route(request)

    def _give_token(self, request):
        self.tokens_given += 1
        if request.headers.get("Authorization", "").startswith("Basic ") or self.token == "anonymous":
            return web.json_response({"token": self.token, "expires_in": 300})
        errors = [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]
        return web.json_response({"errors": errors}, status=401)

    def _challenge(self):
        realm = f'Bearer realm="http://{self.host}/token",service="fake",scope="repository:x:pull"'
        errors = [{"code": "UNAUTHORIZED", "message": "authentication required"}]
        return web.json_response({"errors": errors}, status=401, headers={"WWW-Authenticate": realm})

    async def _route(self, request):
        parts = re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags)/(.+)", request.path)
        repository, what, reference = parts.groups()
        if what == "manifests":
            return await self._manifest(request, repository, reference)
        if what == "tags":
            tags = [tag for name, tag in self.manifests if name == repository and ":" not in tag]
            return web.json_response({"name": repository, "tags": tags})
        if "uploads" in request.path:
            return await self._upload(request, repository)
        return await self._blob(request, reference)

    async def _manifest(self, request, repository, reference):
        if self.on_manifest and (answer := await self.on_manifest(request)) is not None:
            return answer
        if request.method == "PUT":
            body = await request.read()
            self.manifests[repository, reference] = (request.content_type, body)
            self.manifests[repository, digest_of(body)] = (request.content_type, body)
            return web.Response(status=201, headers={"Docker-Content-Digest": digest_of(body)})
        if (repository, reference) not in self.manifests:
            errors = [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]
            return web.json_response({"errors": errors}, status=404)
        kind, body = self.manifests[repository, reference]
        headers = {"Docker-Content-Digest": digest_of(body), "Content-Type": kind or "application/json"}
        return web.Response(body=body, headers=headers)

    async def _blob(self, request, digest):
        if self.on_blob and (answer := await self.on_blob(request, self.blobs.get(digest, b""))) is not None:
            return answer
        if digest not in self.blobs:
            return web.json_response({"errors": [{"code": "BLOB_UNKNOWN"}]}, status=404)
        return self.ranged(request, self.blobs[digest])

    def ranged(self, request, blob):
        found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if not found:
            return web.Response(body=blob)
        start = int(found[1])
        headers = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}
        return web.Response(status=206, body=blob[start:], headers=headers)

    async def _upload(self, request, repository):
        if request.method == "POST":
            if (request.query.get("from"), request.query.get("mount")) in self.mounts:
                return web.Response(status=201, headers={"Location": "/v2/"})
            name = str(len(self.uploads))
            self.uploads[name] = b""
            return self._accepted(repository, name)
        name = request.path.rpartition("/")[2]
        if request.method == "PATCH":
            self.uploads[name] += await request.read()
            return self._accepted(repository, name)
        body = self.uploads.pop(name)
        assert digest_of(body) == request.query["digest"]
        self.blobs[digest_of(body)] = body
        return web.Response(status=201)

    def _accepted(self, repository, name):
        headers = {
            "Location": f"/v2/{repository}/blobs/uploads/{name}?_state=s",
            "Range": f"0-{len(self.uploads[name])}",
        }
        return web.Response(status=202, headers=headers)


@pytest.fixture
async def serve():
    """Serve a handler on loopback; the port."""
    runners = []

    async def start(handler):
        runner = web.ServerRunner(web.Server(handler), shutdown_timeout=1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site._server.sockets[0].getsockname()[1]

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def fake(serve):
    registry = FakeRegistry()
    registry.port = await serve(registry.handle)
    return registry


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_words(process, words):
    """Read a server's log until it says that it serves."""
    for line in process.stderr:
        if words in line:
            return
    raise RuntimeError(f"{process.args[0]} ended without saying {words!r}")


@contextlib.contextmanager
def running(command, words):
    """A server that is stopped in the end; its log is read so that it never blocks."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_words(process, words)
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        yield process
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        process.stderr.close()
        with contextlib.suppress(NameError):
            drain.wait(START_SECONDS)


@contextlib.contextmanager
def real_registry(root, *, password=False):
    port = free_port()
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "s"},
        "log": {"level": "info"},
    }
    if password:
        (root / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "htpasswd")}}
    (root / "config.yml").write_text(json.dumps(config))
    with running(["docker-registry", "serve", str(root / "config.yml")], "listening on"):
        yield f"127.0.0.1:{port}"


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """The address of Debian's registry, open to everybody."""
    needs("docker-registry")
    with real_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory):
    """The same, for the user `wherry` with the password `secret`."""
    needs("docker-registry")
    with real_registry(tmp_path_factory.mktemp("private"), password=True) as address:
        yield address


def docker_at(path):
    def run(*arguments, **options):
        environment = {**os.environ, "DOCKER_HOST": f"unix://{path}"}
        return subprocess.run(["docker", *arguments], capture_output=True, env=environment, **options)

    run.socket = path
    return run


@pytest.fixture(scope="session")
def docker():
    """Runs the docker CLI against a real dockerd of its own, or against the one at $WHERRY_PEER_SOCKET."""
    needs("docker")
    if peer := os.environ.get("WHERRY_PEER_SOCKET"):
        yield docker_at(peer)
        return
    needs("dockerd")
    root = Path(tempfile.mkdtemp(prefix="wi-", dir="/tmp"))
    command = [
        *("dockerd", "-H", f"unix://{root}/d.sock", "--data-root", str(root / "d"), "--exec-root", str(root / "e")),
        *("--pidfile", str(root / "p"), "--bridge=none", "--iptables=false"),
    ]

    try:
        with running(command, "API listen on"):
            yield docker_at(f"{root}/d.sock")
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def seed_busybox():
    """Imports the image `busybox:latest`, made of the static program; the same program makes the same image."""
    program = Path("/usr/bin/busybox")
    if not program.exists():
        pytest.skip("busybox-static is not installed")

    async def once(data):
        yield data

    async def seed(library):
        request = ImportRequest(
            repository="busybox", changes=("ENV PATH=/usr/bin:/bin", 'CMD ["sh"]'), created="2024-01-01T00:00:00Z"
        )
        await import_image(library, once(busybox_tar(program)), request)
        return find(library, "busybox")

    return seed
