"""`docker events`: the history that outlives the daemon, filters as dockerd's, the configuration read again."""

import json
import os
import signal
import time

import pytest


@pytest.fixture
def told(daemon):
    """A short story, and how to ask for it with filters."""
    since = time.time()
    daemon.docker("create", "--name", "abcone", "--label", "x=y", "busybox:latest", "true")
    daemon.docker("start", "-a", "abcone")
    daemon.docker("wait", "abcone")
    daemon.docker("volume", "create", "abcvol")
    daemon.docker("tag", "busybox:latest", "abcimg:1")
    daemon.docker("rmi", "abcimg:1")
    until = time.time()

    def ask(*filters):
        wanted = [word for one in filters for word in ("--filter", one)]
        span = ("--since", f"{since:.6f}", "--until", f"{until:.6f}")
        return daemon.out("events", *span, *wanted, "--format", "{{.Type}}.{{.Action}}").split()

    return ask


LIFE = [f"container.{action}" for action in ("create", "attach", "start", "die")]
EVERYTHING = [
    *LIFE[:2], "network.connect", LIFE[2], "network.disconnect", LIFE[3], "volume.create", "image.tag", "image.untag",
]  # fmt: skip

# As recorded from dockerd 28.5: names match by how they begin and in any type of event, images by their whole name.
FILTERS = {
    "": EVERYTHING,
    "container=abc": [*LIFE, "volume.create", "image.tag"],
    "container=abcone": LIFE,
    "container=bcone": [],
    "volume=abc": [*LIFE, "volume.create", "image.tag"],
    "volume=abcvol": ["volume.create"],
    "network=bri": ["network.connect", "network.disconnect"],
    "image=busybox": LIFE,
    "image=busybox:latest": LIFE,
    "image=busy": [],
    "image=abcimg": ["image.tag"],
    "event=die": ["container.die"],
    "event=di": [],
    "event=health_status": [],
    "scope=local": EVERYTHING,
    "scope=swarm": [],
    "label=x": LIFE,
    "label=x=y": LIFE,
    "label=x=z": [],
    "type=volume": ["volume.create"],
    "type=nosuch": [],
    "daemon=x": [],
    "plugin=x": [],
    "service=x": [],
    "node=x": [],
    "config=x": [],
    "secret=x": [],
    "nosuch=x": EVERYTHING,
    "type=container type=volume event=create": ["container.create", "volume.create"],
}


def test_filters_choose_as_dockerds_do(told):
    assert {filters: told(*filters.split()) for filters in FILTERS} == FILTERS


def test_the_history_outlives_the_daemon(daemon, told):
    before = told()
    daemon.kill()
    daemon.start()
    assert told() == before == EVERYTHING
    daemon.restart()
    assert told("container=abcone") == LIFE


def test_looking_at_processes_is_told(daemon):
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    client = daemon.client()
    events = client.events(decode=True, filters={"event": "top"})
    daemon.docker("top", "box")
    assert next(events)["Actor"]["Attributes"] == {"image": "busybox", "name": "box"}
    events.close()
    client.close()


def test_a_configuration_that_is_read_again_is_told(daemon):
    client = daemon.client()
    events = client.events(decode=True, filters={"type": "daemon"})
    os.kill(daemon.process.pid, signal.SIGHUP)
    event = next(events)
    events.close()
    info = client.info()
    client.close()
    assert (event["Action"], event["Actor"]["ID"]) == ("reload", info["ID"])
    attributes = event["Actor"]["Attributes"]
    assert attributes["name"] == info["Name"]
    assert {name: attributes[name] for name in ("debug", "labels", "live-restore", "shutdown-timeout")} == {
        "debug": "true", "labels": "[]", "live-restore": "true", "shutdown-timeout": "15",
    }  # fmt: skip


def test_the_two_command_lines_show_the_same(daemon, told):
    told()
    span = ("--since", "1", "--until", f"{time.time():.6f}")
    for options in ((), ("--format", "json"), ("--filter", "type=volume"), ("--format", "{{.ID}} {{.Status}}")):
        assert daemon.wherry("events", *span, *options).stdout == daemon.docker("events", *span, *options).stdout
    line = daemon.wherry("events", *span, "--format", "json", "--filter", "volume=abcvol").stdout.splitlines()[-1]
    assert json.loads(line)["Actor"] == {"ID": "abcvol", "Attributes": {"driver": "local"}}


def test_a_start_that_fails_lets_go_of_networks_and_volumes(daemon):
    daemon.docker("create", "--name", "broken", "-v", "abcvol:/x", "busybox", "nosuch")
    since = time.time()
    daemon.docker("start", "broken", check=False)
    span = ("--since", f"{since:.6f}", "--until", f"{time.time():.6f}")
    said = daemon.out("events", *span, "--format", "{{.Type}}.{{.Action}}").split()
    assert said == ["volume.mount", "network.disconnect", "volume.unmount"]
