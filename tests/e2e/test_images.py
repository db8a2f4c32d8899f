"""Images by the real docker command line: archives, names, listings, registries; digests as skopeo counts them."""

import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

USER, PASSWORD = "wherry", "secret"
START_SECONDS = 20


@pytest.fixture
def images(daemon):
    """The daemon; of its images only busybox outlives the test."""
    kept = daemon.out("images", "-q", "--no-trunc", "busybox")
    yield daemon
    remove_containers(daemon)
    everything = daemon.out("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "--no-trunc", "-a")
    for line in everything.splitlines():
        name, identifier = line.split()
        if name != "busybox:latest":
            daemon.docker("rmi", "-f", identifier if "<none>" in name else name, check=False)
    assert daemon.out("images", "-aq", "--no-trunc") == kept


def remove_containers(daemon):
    for identifier in daemon.out("ps", "-aq").split():
        daemon.docker("rm", "-f", identifier)


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def tool(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert not done.returncode, f"{program} {arguments}: {done.stderr}"
    return done.stdout.strip()


def an_image(daemon, name, text="hello", *changes):
    """An image of its own: busybox with one more file."""
    root = daemon.root / "an-image"
    root.mkdir(exist_ok=True)
    with tarfile.open(root / "layer.tar", "w") as tar:
        busybox = Path(shutil.which("busybox"))
        tar.add(busybox, "bin/busybox")
        for applet in ("sh", "cat", "echo"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        (root / "text").write_text(text)
        tar.add(root / "text", "text")
    options = [word for change in ('CMD ["cat","/text"]', *changes) for word in ("--change", change)]
    return daemon.out("import", *options, root / "layer.tar", name)


def field(daemon, name, template):
    return daemon.out("image", "inspect", "--format", template, name)


# Archives


def test_what_is_saved_is_loaded_as_the_same_image(images, tmp_path):
    identifier = an_image(images, "box:1")
    images.docker("tag", "box:1", "example.org/team/box:2")
    images.docker("save", "-o", tmp_path / "box.tar", "box:1", "example.org/team/box:2")
    images.docker("rmi", "box:1", "example.org/team/box:2")
    told = images.out("load", "-i", tmp_path / "box.tar")
    assert told.splitlines() == ["Loaded image: box:1", "Loaded image: example.org/team/box:2"]
    assert field(images, "box:1", "{{.Id}}") == field(images, "example.org/team/box:2", "{{.Id}}") == identifier
    assert images.out("run", "--rm", "--network", "none", "box:1") == "hello"


def test_an_archive_is_both_dockers_and_an_oci_layout(images, tmp_path):
    needs("skopeo")
    identifier = an_image(images, "box:1")
    images.docker("save", "-o", tmp_path / "box.tar", "box:1")
    config = tool("skopeo", "inspect", "--config", "--raw", f"docker-archive:{tmp_path / 'box.tar'}")
    assert hashlib.sha256(config.encode()).hexdigest() == identifier.partition(":")[2]
    with tarfile.open(tmp_path / "box.tar") as tar:
        names = set(tar.getnames())
        index = json.load(tar.extractfile("index.json"))
        items = json.load(tar.extractfile("manifest.json"))
    assert {"oci-layout", "index.json", "manifest.json", "repositories"} <= names
    assert items[0]["RepoTags"] == ["box:1"]
    assert items[0]["Config"] == f"blobs/sha256/{identifier.partition(':')[2]}"
    assert index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == "1"
    (tmp_path / "oci").mkdir()
    tool("tar", "-xf", tmp_path / "box.tar", "-C", tmp_path / "oci")
    assert tool("skopeo", "inspect", "--config", "--raw", f"oci:{tmp_path / 'oci'}:1") == config


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_what_skopeo_writes_is_loaded(images, tmp_path, kind):
    needs("skopeo")
    identifier = an_image(images, "box:1", "from skopeo")
    images.docker("save", "-o", tmp_path / "box.tar", "box:1")
    images.docker("rmi", "box:1")
    name = "docker.io/library/other:3" if kind == "docker-archive" else "other:3"
    tool("skopeo", "copy", f"docker-archive:{tmp_path / 'box.tar'}", f"{kind}:{tmp_path / 'copy.tar'}:{name}")
    told = images.out("load", "-i", tmp_path / "copy.tar")
    loaded = told.rpartition(": ")[2]
    assert images.out("run", "--rm", "--network", "none", loaded) == "from skopeo"
    if kind == "docker-archive":
        assert (told, field(images, "other:3", "{{.Id}}")) == ("Loaded image: other:3", identifier)


def test_a_layout_that_umoci_made_is_loaded(images, tmp_path):
    needs("umoci")
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    tool("umoci", "init", "--layout", layout)
    tool("umoci", "new", "--image", f"{layout}:one")
    tool("umoci", "unpack", "--image", f"{layout}:one", bundle)
    (bundle / "rootfs/bin").mkdir()
    shutil.copy(shutil.which("busybox"), bundle / "rootfs/bin/busybox")
    (bundle / "rootfs/bin/sh").symlink_to("busybox")
    tool("umoci", "repack", "--image", f"{layout}:one", bundle)
    tool("umoci", "config", "--image", f"{layout}:one", "--config.cmd", "sh", "--config.env", "WHO=umoci")
    tool("tar", "-C", layout, "-cf", tmp_path / "layout.tar", ".")
    told = images.out("load", "-i", tmp_path / "layout.tar")
    identifier = told.partition(": ")[2]
    assert images.out("run", "--rm", "--network", "none", identifier, "sh", "-c", "echo $WHO") == "umoci"
    assert images.out("history", "-q", identifier)


@pytest.mark.parametrize("packer", ["gzip", "xz", "bzip2", "zstd"])
def test_a_packed_archive_is_loaded(images, tmp_path, packer):
    needs(packer)
    identifier = an_image(images, "box:1")
    images.docker("save", "-o", tmp_path / "box.tar", "box:1")
    images.docker("rmi", "box:1")
    tool(packer, "-q", tmp_path / "box.tar")
    packed = next(tmp_path.glob("box.tar.*"))
    assert images.out("load", "-i", packed) == "Loaded image: box:1"
    assert field(images, "box:1", "{{.Id}}") == identifier


def test_nonsense_is_not_loaded(images, tmp_path):
    (tmp_path / "nonsense.tar").write_bytes(b"nonsense" * 1000)
    done = images.docker("load", "-i", tmp_path / "nonsense.tar", check=False)
    assert done.returncode == 1
    assert "Error response from daemon" in done.stderr or "invalid tar header" in done.stderr
    assert "Traceback" not in done.stderr


# Import, history, inspect


def test_import_takes_changes_a_message_and_a_platform(images, busybox_tar):
    changes = ("ENV A=b", "EXPOSE 80/tcp", 'ENTRYPOINT ["/bin/busybox"]', "LABEL who=me", "WORKDIR /tmp", "USER 1000")
    words = [word for change in changes for word in ("--change", change)]
    images.docker("import", *words, "--message", "made by hand", busybox_tar, "made:1")
    wire = json.loads(images.out("image", "inspect", "made:1"))[0]
    config = wire["Config"]
    assert config["Env"] == ["A=b"]
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert config["Entrypoint"] == ["/bin/busybox"]
    assert (config["Labels"], config["WorkingDir"], config["User"]) == ({"who": "me"}, "/tmp", "1000")
    assert (wire["Os"], wire["Architecture"], wire["Comment"]) == ("linux", "amd64", "made by hand")
    rows = images.out("history", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Comment}}", "--no-trunc", "made:1")
    assert rows == f"{wire['Id']}||made by hand"


def test_import_from_standard_input_without_a_name(images, busybox_tar):
    with busybox_tar.open("rb") as tar:
        identifier = images.out("import", "-", stdin=tar)
    assert identifier.startswith("sha256:")
    assert field(images, identifier, "{{.RepoTags}} {{.RepoDigests}}") == "[] []"
    assert images.out("images", "--filter", "dangling=true", "-q", "--no-trunc") == identifier


# Names and removal


def test_names_come_and_go_and_the_last_takes_the_image_along(images):
    identifier = an_image(images, "box:1")
    images.docker("tag", "box:1", "box:2")
    images.docker("tag", identifier.partition(":")[2][:12], "other/box")
    assert images.out("rmi", "box:1") == "Untagged: box:1"
    assert set(field(images, identifier, '{{join .RepoTags " "}}').split()) == {"box:2", "other/box:latest"}
    refused = images.docker("rmi", identifier, check=False)
    short = identifier.partition(":")[2][:12]
    assert f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple" in refused.stderr
    images.docker("rmi", "box:2")
    removed = images.out("rmi", "other/box").splitlines()
    assert removed[:2] == ["Untagged: other/box:latest", f"Deleted: {identifier}"]
    assert [line.partition(":")[0] for line in removed[2:]] == ["Deleted"]


def test_a_name_moves_to_another_image_and_leaves_the_first_dangling(images):
    first = an_image(images, "box:1", "one")
    second = an_image(images, "box:1", "two")
    assert field(images, "box:1", "{{.Id}}") == second
    assert images.out("images", "--filter", "dangling=true", "-q", "--no-trunc") == first


def test_an_image_that_containers_use_is_kept(images):
    identifier = an_image(images, "box:1")
    short = identifier.partition(":")[2][:12]
    container = images.out("create", "--network", "none", "box:1")[:12]
    refused = images.docker("rmi", "box:1", check=False)
    assert refused.stderr.strip() == (
        'Error response from daemon: conflict: unable to remove repository reference "box:1" (must force) - '
        f"container {container} is using its referenced image {short}"
    )
    refused = images.docker("rmi", short, check=False)
    assert f"unable to delete {short} (must be forced) - image is being used by stopped container" in refused.stderr
    running = images.out("run", "-d", "--network", "none", "box:1", "sh", "-c", "while :; do :; done")[:12]
    refused = images.docker("rmi", "-f", short, check=False)
    assert f"unable to delete {short} (cannot be forced) - image is being used by running" in refused.stderr
    images.docker("rm", "-f", running)
    assert "Untagged: box:1" in images.out("rmi", "-f", "box:1")
    assert images.out("ps", "-a", "--format", "{{.Image}}") in {short, "box:1"}


# Listings


def test_images_are_filtered_and_formatted(images, tmp_path):
    an_image(images, "aa/box:1", "one", "LABEL colour=red")
    an_image(images, "made:2", "two", "LABEL colour=blue")
    images.docker("save", "-o", tmp_path / "made.tar", "made:2")
    rewrite(tmp_path / "made.tar", tmp_path / "older.tar", "aa/box:2", created="2001-02-03T04:05:06Z")
    images.docker("rmi", "made:2")
    images.docker("load", "-i", tmp_path / "older.tar")

    def listed(*filters):
        words = [word for one in filters for word in ("--filter", one)]
        return images.out("images", *words, "--format", "{{.Repository}}:{{.Tag}}").splitlines()

    assert sorted(listed("reference=aa/*")) == ["aa/box:1", "aa/box:2"]
    assert listed("label=colour=red") == ["aa/box:1"]
    assert sorted(listed("label=colour")) == ["aa/box:1", "aa/box:2"]
    assert listed("reference=aa/box:2", "label=colour=red") == []
    assert listed("before=aa/box:1", "reference=aa/*") == ["aa/box:2"]
    assert listed("since=aa/box:2", "reference=aa/*") == ["aa/box:1"]
    assert listed("until=2010-01-01T00:00:00Z") == ["aa/box:2"]
    assert listed("dangling=true") == []
    assert images.out("images", "aa/box").splitlines()[0].split() == [
        "REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE",
    ]  # fmt: skip
    assert len(images.out("images", "-q", "--no-trunc", "aa/box:1")) == len("sha256:") + 64
    row = json.loads(images.out("images", "--format", "json", "aa/box:1"))
    assert (row["Repository"], row["Tag"], row["Containers"]) == ("aa/box", "1", "N/A")


def test_disk_usage_counts_shared_layers_once(images):
    an_image(images, "box:1")
    images.docker("tag", "box:1", "box:2")
    images.docker("run", "--name", "used", "--network", "none", "box:1")
    images.docker("volume", "create", "data")
    rows = [json.loads(line) for line in images.out("system", "df", "--format", "json").splitlines()]
    found = {row["Type"]: (row["TotalCount"], row["Active"]) for row in rows}
    assert found == {"Images": ("2", "1"), "Containers": ("1", "0"), "Local Volumes": ("1", "0"),
                     "Build Cache": ("0", "0")}  # fmt: skip
    wide = images.out("system", "df", "-v")
    assert "box" in wide
    assert "used" in wide
    assert "data" in wide


def test_info_and_version_have_what_templates_ask_for(images):
    words = images.out("info", "--format", "{{.OSType}} {{.Images}} {{.Swarm.LocalNodeState}}")
    assert words == "linux 1 inactive"
    text = images.out("info")
    for heading in ("Server Version:", "Storage Driver:", "Cgroup Version:", "Docker Root Dir:", "Default Runtime:"):
        assert heading in text
    assert images.out("version", "--format", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}") == "1.51 1.24"
    wire = json.loads(images.out("version", "--format", "json"))
    assert {"Platform", "Components", "Version", "KernelVersion", "Arch", "Os"} <= set(wire["Server"])


def test_volumes_and_networks_have_their_formats(images):
    images.docker("volume", "create", "--label", "a=b", "data")
    assert (
        images.out("volume", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}}") == "data local local a=b"
    )
    assert images.out("volume", "ls", "-q", "--filter", "label=a=b", "--filter", "dangling=true") == "data"
    wire = json.loads(images.out("volume", "inspect", "data"))[0]
    assert set(wire) == {"CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"}
    assert images.out("volume", "inspect", "-f", "{{.Mountpoint}}", "data").endswith("/volumes/data/_data")
    rows = images.out("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}").splitlines()
    assert sorted(rows) == ["bridge bridge local", "host host local", "none null local"]
    assert images.out("network", "ls", "--filter", "name=bri", "-q", "--no-trunc") == images.out(
        "network", "inspect", "-f", "{{.Id}}", "bridge"
    )
    assert images.out("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge").endswith("/24")


# Registries


@contextlib.contextmanager
def registry_in(root, *, password=False):
    needs("docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}},
        "http": {"addr": address, "secret": "s"},
        "log": {"level": "info"},
    }
    if password:
        needs("htpasswd")
        (root / "htpasswd").write_text(tool("htpasswd", "-Bbn", USER, PASSWORD) + "\n")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "htpasswd")}}
    (root / "config.yml").write_text(json.dumps(config))
    log = root / "log"
    with log.open("wb") as sink:
        command = ["docker-registry", "serve", str(root / "config.yml")]
        server = subprocess.Popen(command, stdout=sink, stderr=sink)
    try:
        wait_until_it_listens(server, address)
        yield address
    finally:
        server.terminate()
        server.wait(START_SECONDS)


def wait_until_it_listens(server, address):
    # With --retry-connrefused curl itself waits between its tries.
    tries = ["--retry", "50", "--retry-delay", "1", "--retry-connrefused", "--retry-max-time", str(START_SECONDS)]
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", *tries, f"http://{address}/v2/"], check=False)
    assert done.returncode == 0, "the registry did not start"
    assert server.poll() is None


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """The address of Debian's registry on loopback, open to everybody."""
    with registry_in(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def private_registry(tmp_path_factory):
    """The same behind a password."""
    with registry_in(tmp_path_factory.mktemp("private"), password=True) as address:
        yield address


def test_an_image_is_pushed_pulled_and_run_with_the_digest_that_skopeo_says(registry, images):
    needs("skopeo")
    name = f"{registry}/team/box:1"
    identifier = an_image(images, name, "over the wire")
    pushed = images.out("push", name)
    digest = tool("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{name}")
    assert f"1: digest: {digest} size: " in pushed
    images.docker("rmi", name)
    pulled = images.out("pull", name)
    assert pulled.splitlines()[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    assert field(images, name, "{{.Id}} {{index .RepoDigests 0}}") == f"{identifier} {registry}/team/box@{digest}"
    assert images.out("run", "--rm", "--network", "none", name) == "over the wire"
    assert f"Status: Image is up to date for {name}" in images.out("pull", name)
    assert images.out("images", "--digests", "--format", "{{.Digest}}", f"{registry}/team/box") == digest


def test_run_pulls_what_is_not_there_and_digests_are_names(registry, images):
    name = f"{registry}/pulled:1"
    an_image(images, name, "fetched")
    images.docker("push", "-q", name)
    digest = field(images, name, "{{index .RepoDigests 0}}")
    images.docker("rmi", name)
    done = images.docker("run", "--rm", "--network", "none", name)
    assert done.stdout.strip() == "fetched"
    assert "Unable to find image" in done.stderr
    images.docker("rmi", name, digest, check=False)
    assert images.out("run", "--rm", "--network", "none", digest) == "fetched"
    assert field(images, digest, "{{.RepoTags}}") == "[]"


def test_all_tags_are_pulled_and_pushed(registry, images):
    for tag in ("1", "2"):
        an_image(images, f"{registry}/many:{tag}", tag)
    images.docker("push", "--all-tags", f"{registry}/many")
    images.docker("rmi", f"{registry}/many:1", f"{registry}/many:2")
    images.docker("pull", "--all-tags", f"{registry}/many")
    listed = images.out("images", f"{registry}/many", "--format", "{{.Tag}}").splitlines()
    assert sorted(listed) == ["1", "2"]


def test_what_a_registry_does_not_have(registry, images):
    done = images.docker("pull", f"{registry}/nosuch:1", check=False)
    assert f"manifest for {registry}/nosuch:1 not found: manifest unknown" in done.stderr
    done = images.docker("push", f"{registry}/nosuch", check=False)
    assert f"An image does not exist locally with the tag: {registry}/nosuch" in done.stderr


def test_a_password_opens_a_private_registry(private_registry, images):
    name = f"{private_registry}/box:1"
    an_image(images, name, "private")
    assert "no basic auth credentials" in images.docker("push", name, check=False).stderr
    wrong = images.docker("login", "-u", USER, "--password-stdin", private_registry, input="wrong", check=False)
    assert "unauthorized" in wrong.stderr.lower()
    done = images.docker("login", "-u", USER, "--password-stdin", private_registry, input=PASSWORD)
    assert "Login Succeeded" in done.stdout
    images.docker("push", name)
    images.docker("rmi", name)
    assert images.out("run", "--rm", "--network", "none", name) == "private"
    images.docker("logout", private_registry)
    images.docker("rmi", "-f", name)
    assert "no basic auth credentials" in images.docker("pull", name, check=False).stderr


def test_an_image_that_skopeo_pushed_with_another_compression_is_pulled(registry, images, tmp_path):
    needs("skopeo")
    an_image(images, "box:1", "zstd")
    images.docker("save", "-o", tmp_path / "box.tar", "box:1")
    source, target = f"docker-archive:{tmp_path / 'box.tar'}", f"docker://{registry}/zstd:1"
    tool(
        "skopeo", "copy", "--dest-tls-verify=false", "--dest-compress-format", "zstd", "--format", "oci", source, target
    )
    assert images.out("run", "--rm", "--network", "none", f"{registry}/zstd:1") == "zstd"


def rewrite(source, target, name, *, created="", healthcheck=None):
    """Docker's archive of one image again, under another name and with another configuration."""
    with tarfile.open(source) as old:
        item = json.load(old.extractfile("manifest.json"))[0]
        config = json.load(old.extractfile(item["Config"]))
        layer = old.extractfile(item["Layers"][0]).read()
    config["created"] = created or config["created"]
    config["config"]["Healthcheck"] = healthcheck
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    directory = target.with_suffix("")
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "layer.tar").write_bytes(layer)
    tool("tar", "-C", directory, "-cf", target, "config.json", "manifest.json", "layer.tar")
