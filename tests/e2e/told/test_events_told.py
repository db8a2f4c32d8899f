"""Every verb's events, one by one, beside those that a real dockerd 28.5 told of the same (docker_events.json)."""

import contextlib
import json
import re
import threading
from pathlib import Path

import pytest

RECORDED = Path(__file__).with_name("docker_events.json")
EAT = "x=a;while :;do x=$x$x;done"

# Each step: docker's command lines, and where something is told after the last answer, the event to wait for; `keys`
# attaches and leaves by the detach keys, which docker's command line looks for itself.
STORY = {
    "import": ["import {tar} told:1"],
    "tag": ["tag told:1 told:2"],
    "save": ["save -o {dir}/told.tar told:2"],
    "untag": ["rmi told:2"],
    "load": ["load -i {dir}/told.tar"],
    "untag what was loaded": ["rmi told:2"],
    "create": ["create --name one --label a=b -v vol:/v told:1 sleep 1000"],
    "start": ["start one"],
    "exec": ["exec one sh -c exit", "... exec_die"],
    "exec without arguments": ["exec one true", "... exec_die"],
    "pause": ["pause one"],
    "unpause": ["unpause one"],
    "rename": ["rename one two"],
    "update": ["update --cpu-shares 512 two"],
    "cp out": ["cp two:/etc/passwd {dir}/passwd"],
    "cp in": ["cp {dir}/passwd two:/tmp/"],
    "export": ["export -o {dir}/export.tar two"],
    "commit": ["commit two committed:1"],
    "remove an image": ["rmi committed:1"],
    "kill by another signal": ["kill -s HUP two"],
    "restart": ["restart -t 0 two"],
    "stop": ["stop -t 0 two", "... die"],
    "start again": ["start two"],
    "kill": ["kill two", "... die"],
    "remove": ["rm two"],
    "remove a volume": ["volume rm vol"],
    "make a volume": ["volume create vol2"],
    "prune volumes": ["volume prune -a -f"],
    "run --rm": ["run --name rr --rm told:1 true", "... destroy"],
    "remove by force": ["run -d --name rr --rm told:1 sleep 1000", "rm -f rr", "... destroy"],
    "run what is not there": ["run --name ff told:1 nosuch"],
    "remove what never ran": ["rm ff"],
    "no network": ["run --name rr --rm --network none told:1 true", "... destroy"],
    "the host's network": ["run --name rr --rm --network host told:1 true", "... destroy"],
    "kill what is paused": ["run -d --name pp told:1 sleep 1000", "pause pp", "kill pp", "... die", "rm pp"],
    "restart policy": ["run -d --name rp --restart on-failure:1 told:1 false", "... die", "... die", "wait rp",
                       "rm rp"],
    "anonymous volume": ["run -d --name av -v /a told:1 sleep 1000", "rm -f -v av"],
    "out of memory": ["run --name oo -m 8m --memory-swap 8m told:1 sh -c {eat}", "... die", "rm oo"],
    "prune containers": ["create --name p1 told:1 true", "container prune -f"],
    "prune images": ["image prune -f"],
    "health": ["run -d --name hh --health-cmd true --health-interval 300ms told:1 sleep 1000",
               "... health_status: healthy", "rm -f hh"],
    "detach": ["run -dit --name dd told:1 cat", "keys dd", "... detach"],
    "remove what was attached to": ["rm -f dd", "... destroy"],
    "wait": ["create --name ww told:1 true", "start -a ww", "wait ww", "... die", "rm ww"],
    "remove the image": ["rmi told:1"],
}  # fmt: skip


class Listener:
    """What a daemon tells, in its order."""

    def __init__(self, client):
        self._stream = client.events(decode=True)
        self._events = []
        self._news = threading.Condition()
        self._read = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(Exception):  # closing ends it by some error of the socket
            for event in self._stream:
                with self._news:
                    self._events.append(event)
                    self._news.notify_all()

    def wait_for(self, matches, since):
        def found():
            return [at for at in range(since, len(self._events)) if matches(self._events[at])]

        with self._news:
            assert self._news.wait_for(found, 30), f"not told: {self._events[since:]}"
            return found()[0]

    def take(self, upto):
        taken, self._read = self._events[self._read : upto], upto + 1
        return taken

    @property
    def read(self):
        return self._read

    def close(self):
        self._stream.close()


def play(docker, client, tar, directory, steps=STORY):
    """What is told of each step, as lines without what differs from time to time."""
    listener = Listener(client)
    said = {}
    try:
        for number, (step, commands) in enumerate({"begin": [], **steps}.items()):
            since = listener.read
            for command in commands:
                if command.startswith("... "):
                    action = command.removeprefix("... ")
                    since = listener.wait_for(lambda event, action=action: event["Action"] == action, since) + 1
                elif command.startswith("keys "):
                    press_keys(client.api, command.removeprefix("keys "))
                else:
                    docker(*(word.format(tar=tar, dir=directory, eat=EAT) for word in command.split()))
            name = f"end-of-step-{number}"
            docker("volume", "create", name)
            end = listener.wait_for(lambda event, name=name: event["Actor"]["ID"] == name, since)
            docker("volume", "rm", name)
            said[step] = [line for event in listener.take(end) if "end-of-step" not in (line := as_line(event))]
    finally:
        listener.close()
    said.pop("begin")
    return said


def press_keys(api, name):
    connection = api.attach_socket(name, {"stdin": 1, "stdout": 1, "stream": 1, "detachKeys": "ctrl-x"})
    with contextlib.closing(connection._sock), contextlib.closing(connection):
        connection._sock.sendall(b"\x18")
        while connection.read(100):
            pass


def as_line(event):
    attributes = event["Actor"].get("Attributes") or {}
    if "execDuration" in attributes:
        attributes["execDuration"] = "*"
    text = " ".join((event["Type"], event["Action"], event["Actor"]["ID"], json.dumps(attributes, sort_keys=True)))
    return re.sub(r"(sha256:)?[0-9a-f]{64}", "ID", text)


@pytest.fixture(scope="module")
def told(another_daemon, busybox_tar, tmp_path_factory):
    daemon, client = another_daemon, another_daemon.client()

    def docker(*words):
        return daemon.docker(*words, check=False)

    try:
        yield play(docker, client, busybox_tar, tmp_path_factory.mktemp("told"))
    finally:
        client.close()


@pytest.mark.parametrize("step", list(STORY))
def test_the_same_is_told_in_the_same_order(told, step):
    recorded = json.loads(RECORDED.read_text())["steps"][step]
    match step:
        case "cp out" | "cp in":  # dockerd mounts the volumes for it; they are there already
            assert told[step] == [line for line in recorded if not line.startswith("volume")]
        case "stop" | "restart":  # dockerd tells `die` before or after `stop`, as it happens
            assert sorted(told[step]) == sorted(recorded)
        case _:
            assert told[step] == recorded
