"""Many at once on one container, and daemons killed at random: only allowed answers, no deadlock, nothing left."""

import io
import random
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

CLIENTS = 8
NAMES = ("cc", "dd")
IMAGE = "busybox:latest"
# What dockerd answers to a verb that comes too late or too early, besides 404 and 409.
LATE = ("is not paused", "No such exec", "is not running", "is not started", "the same name as its current name")


def a_file():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    return packed.getvalue()


A_FILE = a_file()


def create(client, name):
    client("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["sleep", "1000"], "Volumes": {"/v": {}}})


def exec_there(client, name):
    found = client("POST", f"/containers/{name}/exec", {"Cmd": ["true"]})
    if found and "Id" in found:
        client("POST", f"/exec/{found['Id']}/start", {"Detach": True})
        client("GET", f"/exec/{found['Id']}/json")


def rename(client, name):
    client("POST", f"/containers/{name}/rename?name={NAMES[1 - NAMES.index(name)]}")


def posting(path, body=None):
    return lambda client, name: client("POST", f"/containers/{name}/{path}", body)


def getting(path):
    return lambda client, name: client("GET", f"/containers/{name}/{path}")


VERBS = {
    "create": create,
    "start": posting("start"),
    "stop": posting("stop?t=0"),
    "kill": posting("kill"),
    "restart": posting("restart?t=0"),
    "pause": posting("pause"),
    "unpause": posting("unpause"),
    "exec": exec_there,
    "rename": rename,
    "remove": lambda client, name: client("DELETE", f"/containers/{name}?v=1"),
    "remove by force": lambda client, name: client("DELETE", f"/containers/{name}?v=1&force=1"),
    "inspect": getting("json?size=1"),
    "list": lambda client, _: client("GET", "/containers/json?all=1"),
    "logs": getting("logs?stdout=1"),
    "top": getting("top"),
    "changes": getting("changes"),
    "look at a file": lambda client, name: client("HEAD", f"/containers/{name}/archive?path=/bin"),
    "copy out": getting("archive?path=/bin/sh"),
    "copy in": lambda client, name: client("PUT", f"/containers/{name}/archive?path=/v", A_FILE),
    "export": getting("export"),
    "commit": lambda client, name: client("POST", f"/commit?container={name}&repo=raced"),
    "prune": lambda client, _: client("POST", "/containers/prune"),
    "stats": getting("stats?stream=0&one-shot=1"),
    "update": posting("update", {"Memory": 64 << 20, "MemorySwap": 128 << 20, "CpuShares": 512}),
}


class Worker(threading.Thread):
    """One client that does verb after verb; `faults` gets what was not allowed."""

    def __init__(self, daemon, seed, ending, *, dies):
        super().__init__()
        self.daemon_under_test, self.ending, self.dies = daemon, ending, dies
        self.chance, self.faults = random.Random(seed), []

    def run(self):
        while not self.ending.is_set():
            verb = self.chance.choice(list(VERBS))
            try:
                VERBS[verb](self.ask, self.chance.choice(NAMES))
            except Exception as error:
                # A removal does not wait for who copies: what he gets has no end.
                cut = verb in ("copy out", "export") and "IncompleteRead" in str(error)
                if "timed out" in str(error) or not (self.dies or cut):
                    self.faults.append(f"{verb}: {error!r}")

    def ask(self, method, path, body=None):
        status, answer = self.daemon_under_test.ask(method, path, body)
        message = answer.get("message", "") if isinstance(answer, dict) else ""
        allowed = status < 400 or status in (404, 409) or any(words in message for words in LATE)
        if not allowed:
            told = self.daemon_under_test.log.read_text().splitlines()[-20:] if method == "HEAD" else ""
            self.faults.append(f"{method} {path}: {status} {answer} {[line for line in told if 'HEAD' in line]}")
        return answer if status < 400 else None


def run_workers(daemon, seconds, *, dies=False):
    """What was not allowed of all that they were answered; when it `dies`, the daemon is killed in their midst."""
    ending = threading.Event()
    workers = [Worker(daemon, number, ending, dies=dies) for number in range(CLIENTS)]
    for worker in workers:
        worker.start()
    ending.wait(seconds)
    if dies:
        daemon.kill()
    ending.set()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive(), "a request does not end"
    return [fault for worker in workers for fault in worker.faults]


SOAK = [pytest.mark.soak, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("seconds", [8, pytest.param(300, marks=SOAK)])
def test_eight_clients_on_one_container_get_allowed_answers_only(daemon, leaves_nothing, seconds):
    faults = run_workers(daemon, seconds)
    assert not faults, "\n".join(sorted(set(faults)))
    for name in daemon.names():
        assert daemon.inspect(name)["State"]["Status"] in ("created", "running", "paused", "exited")
    daemon.clear()
    leaves_nothing()


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=SOAK)])
def test_a_daemon_killed_at_random_loses_and_leaves_nothing(daemon, leaves_nothing, kills):
    chance = random.Random(kills)
    faults = []
    for _ in range(kills):
        faults += run_workers(daemon, chance.random(), dies=True)
        assert daemon.start()
        for name in daemon.names():
            state = daemon.inspect(name)["State"]
            assert state["Status"] in ("created", "running", "paused", "exited"), state
            assert state["Status"] not in ("running", "paused") or Path(f"/proc/{state['Pid']}").exists()
    assert not faults, "\n".join(sorted(set(faults)))
    daemon.clear()
    leaves_nothing()


class Machine(RuleBasedStateMachine):
    """One client and one container: the state table of dockerd, and the codes of each verb in each state."""

    daemon = None

    def __init__(self):
        super().__init__()
        self.state, self.name = None, "cc"

    def ask(self, method, path, body=None):
        status, _ = self.daemon.ask(method, path, body)
        return status

    def do(self, verb, **becomes):
        """`becomes` says by state what the code is, and what the state becomes if it changes."""
        code, then = becomes.get(self.state or "absent", (404, self.state))
        assert self.ask("POST", f"/containers/{self.name}/{verb}") == code, f"{verb} while {self.state}"
        self.state = then

    @rule()
    def create(self):
        body = {"Image": IMAGE, "Cmd": ["sleep", "1000"]}
        assert self.ask("POST", f"/containers/create?name={self.name}", body) == (201 if self.state is None else 409)
        self.state = self.state or "created"

    @rule()
    def start(self):
        up = (204, "running")
        self.do("start", created=up, exited=up, running=(304, "running"), paused=(409, "paused"))

    @rule()
    def stop(self):
        down = (204, "exited")
        self.do("stop?t=0", created=(304, "created"), exited=(304, "exited"), running=down, paused=down)

    @rule()
    def kill(self):
        if self.state in ("running", "paused"):
            self.do("kill", running=(204, "exited"), paused=(204, "exited"))
            assert self.ask("POST", f"/containers/{self.name}/wait") == 200
        else:
            self.do("kill", created=(409, "created"), exited=(409, "exited"))

    @rule()
    def restart(self):
        up = (204, "running")
        self.do("restart?t=0", created=up, exited=up, running=up, paused=up)

    @rule()
    def pause(self):
        held = (204, "paused")
        self.do("pause", created=(409, "created"), exited=(409, "exited"), running=held, paused=(409, "paused"))

    @rule()
    def unpause(self):
        states = {state: (500, state) for state in ("created", "exited", "running")}
        self.do("unpause", **states, paused=(204, "running"))

    @rule()
    def rename(self):
        other = NAMES[1 - NAMES.index(self.name)]
        status = self.ask("POST", f"/containers/{self.name}/rename?name={other}")
        assert status == (404 if self.state is None else 204)
        self.name = self.name if self.state is None else other

    @rule()
    def exec_true(self):
        status = self.ask("POST", f"/containers/{self.name}/exec", {"Cmd": ["true"]})
        assert status == {None: 404, "running": 201}.get(self.state, 409)

    @rule(force=st.booleans())
    def remove(self, force):
        status = self.ask("DELETE", f"/containers/{self.name}?force={force:d}")
        stays = self.state in ("running", "paused") and not force
        assert status == (404 if self.state is None else 409 if stays else 204)
        self.state = self.state if stays else None

    @invariant()
    def is_what_inspect_says(self):
        found = self.daemon.inspect(self.name)
        assert (found and found["State"]["Status"]) == self.state

    def teardown(self):
        self.daemon.clear()


@pytest.mark.parametrize("examples", [12, pytest.param(300, marks=SOAK)])
def test_each_verb_in_each_state_answers_as_dockerd(daemon, leaves_nothing, examples):
    machine = type("Machine", (Machine,), {"daemon": daemon})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    leaves_nothing()
