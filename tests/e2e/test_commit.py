"""`docker commit`: what the image is, what it holds, who notices; and that it can go on to a registry or an archive."""

import hashlib
import io
import json
import tarfile
import time


def run(daemon, script, *options, name="cc"):
    """A container that has done something and goes on."""
    words = [
        "run",
        "-d",
        "--name",
        name,
        "--network=none",
        *options,
        "busybox",
        "sh",
        "-c",
        f"{script}; touch /done; sleep 1000",
    ]
    daemon.docker(*words)
    daemon.docker("exec", name, "sh", "-c", "while [ ! -e /done ]; do :; done")


def inspect(daemon, name):
    return json.loads(daemon.out("image", "inspect", name))[0]


def layers_of(daemon, name):
    """The members of an image's layers, lowest first, from its archive; every digest is what it says."""
    data = daemon.docker("save", name, text=False).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        config = json.load(archive.extractfile(manifest["Config"]))
        found = []
        for path, diff_id in zip(manifest["Layers"], config["rootfs"]["diff_ids"], strict=True):
            layer = archive.extractfile(path).read()
            assert f"sha256:{hashlib.sha256(layer).hexdigest()}" == diff_id
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                found.append({member.name: member for member in tar.getmembers()})
        return found, config


def test_an_image_holds_what_was_changed_and_nothing_else(daemon):
    script = "echo new >/new; ln /new /again; chmod 4755 /new; rm /etc/group"
    script += "; rm -r /home; mkdir -m 700 /home; echo x >/home/x"
    run(daemon, script)
    image = daemon.out("commit", "cc", "made:1")
    (_, layer), config = layers_of(daemon, "made:1")
    assert sorted(layer) == [
        "again", "done", "etc", "etc/.wh.group", "home", "home/.wh..wh..opq", "home/x", "new"
    ]  # fmt: skip
    assert {layer["again"].type, layer["new"].type} == {tarfile.REGTYPE, tarfile.LNKTYPE}
    assert (layer["again"].mode, layer["home"].mode) == (0o4755, 0o700)
    assert [step.get("created_by", "") for step in config["history"]][-1].startswith("sh -c echo new >/new;")
    shown = inspect(daemon, image)
    assert shown["RepoTags"] == ["made:1"]
    assert shown["Parent"] == inspect(daemon, "busybox")["Id"]
    seen = daemon.out(
        "run", "--rm", "--network=none", image, "sh", "-c", "cat /again; ls -A /home; ls /etc/group", check=False
    )
    assert seen.split() == ["new", "x"]
    daemon.docker("rmi", "made:1")


def test_the_images_configuration_is_the_containers_with_changes(daemon):
    options = ["--env", "A=1", "--label", "kept=yes", "--expose", "80", "--user", "user", "--workdir", "/tmp"]
    daemon.docker("create", "--name", "cc", *options, "busybox", "sleep", "1")
    changes = ["ENV B=2", 'CMD ["echo", "hi"]', "LABEL more=too", "EXPOSE 99/udp", "VOLUME /v", 'ENTRYPOINT ["sh"]']
    words = [word for change in changes for word in ("--change", change)]
    daemon.docker("commit", "-a", "Somebody", "-m", "a word", *words, "cc", "made:2")
    shown = inspect(daemon, "made:2")
    config = shown["Config"]
    assert (shown["Author"], shown["Comment"]) == ("Somebody", "a word")
    assert sorted(entry for entry in config["Env"] if not entry.startswith("PATH")) == ["A=1", "B=2"]
    assert config["Labels"] == {"kept": "yes", "more": "too"}
    assert sorted(config["ExposedPorts"]) == ["80/tcp", "99/udp"]
    assert (config["User"], config["WorkingDir"], config["Volumes"]) == ("user", "/tmp", {"/v": {}})
    assert config["Entrypoint"] == ["sh"]
    # Nothing was changed, so there is no layer.
    assert shown["RootFS"] == inspect(daemon, "busybox")["RootFS"]
    daemon.docker("rmi", "made:2")


def test_commits_upon_commits_pile_up(daemon):
    base = "busybox"
    for number in range(3):
        daemon.docker("run", "--name", f"c{number}", "--network=none", base, "sh", "-c", f"echo {number} >/n{number}")
        base = daemon.out("commit", f"c{number}", f"pile:{number}")
    assert len(inspect(daemon, "pile:2")["RootFS"]["Layers"]) == 4
    assert daemon.out("run", "--rm", "--network=none", "pile:2", "cat", "/n0", "/n1", "/n2").split() == ["0", "1", "2"]
    same = daemon.out("commit", "c2", "pile:again")
    assert inspect(daemon, same)["RootFS"] == inspect(daemon, "pile:2")["RootFS"]
    daemon.docker("rm", "c0", "c1", "c2")
    daemon.docker("rmi", "pile:0", "pile:1", "pile:2", "pile:again")


def test_a_running_container_is_frozen_meanwhile_and_goes_on(daemon):
    run(daemon, "true")
    begun = time.time() - 1
    daemon.docker("commit", "cc", "made:3")
    assert daemon.out("inspect", "-f", "{{.State.Status}}", "cc") == "running"
    daemon.docker("exec", "cc", "true")
    daemon.docker("commit", "--pause=false", "cc", "made:4")
    daemon.docker("pause", "cc")
    daemon.docker("commit", "cc", "made:5")
    assert daemon.out("inspect", "-f", "{{.State.Status}}", "cc") == "paused"
    daemon.docker("unpause", "cc")
    query = ["--since", f"{begun:.3f}", "--until", f"{time.time():.9f}", "--format", "{{.Type}} {{.Action}}"]
    told = [line for line in daemon.out("events", *query).splitlines() if "exec" not in line]
    one = ["image create", "image tag", "container commit"]
    assert told[-13:] == [
        "container pause", *one, "container unpause", *one, "container pause", *one, "container unpause"
    ]  # fmt: skip
    daemon.docker("rmi", "made:3", "made:4", "made:5")


def test_what_cannot_be_committed_is_said_in_dockers_words(daemon):
    daemon.docker("create", "--name", "cc", "busybox")
    for words, complaint in (
        (["nobody", "x"], "No such container: nobody"),
        (["cc", "Bad"], "repository name (library/Bad) must be lowercase"),
        (["--change", "FROM x", "cc", "x"], "FROM is not a valid change command"),
    ):
        assert complaint in daemon.docker("commit", *words, check=False).stderr


def test_a_container_may_go_while_it_is_committed(daemon):
    """Either the image is whole or there is none."""
    run(daemon, "dd if=/dev/urandom of=/big bs=1M count=64 2>/dev/null")
    with daemon.beginning("commit", "cc", "gone:1") as commit:
        daemon.docker("rm", "-f", "cc")
    if commit.returncode == 0:
        assert daemon.out("run", "--rm", "--network=none", "gone:1", "stat", "-c", "%s", "/big") == str(64 << 20)
        daemon.docker("rmi", "gone:1")
