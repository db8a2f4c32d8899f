"""Every verb, cut by a crash at every point of its way, happens wholly or not at all, and nothing is left behind."""

import json
import os
import re
import socket
import socketserver
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import wherry
from wherry.networks.plan import LINK_GROUP

SOURCE = Path(wherry.__file__).parent
POINTS = frozenset(
    name for path in SOURCE.rglob("*.py") for name in re.findall(r'\bcrash_point\("([^"]+)"\)', path.read_text())
)
STRAY = "vethstray"
PORT = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "42188"}]}
SCENARIOS = {}


def scenario(kind):
    """A class that prepares something, does one verb, and says what may have become of it."""
    SCENARIOS[kind.__name__] = kind
    return kind


class Scenario:
    """`act` raises Gone where the daemon dies; `check` looks at what the next daemon shows.

    `also` names points at which it is cut although another scenario is. Whether it comes to those whose names begin
    as `varying` says is a matter of moments.
    """

    also = ()
    # Most often the namespace of its other end takes a link along; the index is written some time after images change.
    varying = ("network.link-deleted", "content.index-written")

    def __init__(self, daemon, registry, archive, rootfs):
        self.daemon, self.registry, self.archive, self.rootfs = daemon, registry, archive, rootfs

    def prepare(self):
        """What is there before."""

    def act(self):
        """The verb."""

    def check(self):
        """Whether it happened wholly or not at all."""

    def startable(self, name="cc"):
        """The container is not there, or whole: it runs, or can be started; it can be stopped."""
        daemon = self.daemon
        found = daemon.inspect(name)
        if found is None:
            return None
        status = found["State"]["Status"]
        assert status in ("created", "running", "exited"), found["State"]
        if status == "running":
            assert Path(f"/proc/{found['State']['Pid']}/root/bin/busybox").exists()
        else:
            daemon.do("POST", f"/containers/{name}/start")
        daemon.do("POST", f"/containers/{name}/stop?t=0")
        return status


@scenario
class Create(Scenario):
    def act(self):
        volumes = {"Binds": ["named:/etc", "/home:/mnt"], "PortBindings": PORT}
        self.daemon.create(volumes=["/var", "/data"], **volumes)

    def check(self):
        if self.startable() is None:
            assert self.daemon.volumes() == []
        else:
            assert len(self.daemon.volumes()) == 3
            assert os.listdir(self.daemon.data / "volumes/named/_data")


@scenario
class Start(Scenario):
    def prepare(self):
        options = {"type": "tmpfs", "device": "tmpfs"}
        self.daemon.do("POST", "/volumes/create", {"Name": "mounted", "DriverOpts": options})
        self.daemon.create(volumes=["/var"], Binds=["mounted:/m"], PortBindings=PORT)

    def act(self):
        self.daemon.do("POST", "/containers/cc/start")

    def check(self):
        assert self.startable() in ("created", "running")


@scenario
class StartWithMac(Scenario):
    """An address of its own keeps a container from taking a spare namespace."""

    def prepare(self):
        body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "MacAddress": "02:42:00:00:00:07"}
        self.daemon.do("POST", "/containers/create?name=cc", body)

    def act(self):
        self.daemon.do("POST", "/containers/cc/start")

    def check(self):
        assert self.startable() in ("created", "running")


@scenario
class StartWithHooks(Scenario):
    """What a hook began another one undoes, at the end of whatever was begun."""

    also = ("start.run-directory-made", "start.process-born", "end.recorded")

    def prepare(self):
        root = self.daemon.root
        self.begun, self.undone = root / "begun", root / "undone"
        for file in (self.begun, self.undone):
            file.write_text("")
        scripts = {"createRuntime": f"echo >> {self.begun}", "poststop": f"echo >> {self.undone}"}
        hooks = [{"hookName": name, "path": "/bin/sh", "args": ["sh", "-c", it]} for name, it in scripts.items()]
        devices = [{"name": "it", "containerEdits": {"hooks": hooks}}]
        (root / "cdi").mkdir(exist_ok=True)
        (root / "cdi/it.json").write_text(
            json.dumps({"cdiVersion": "0.6.0", "kind": "a.com/hooked", "devices": devices})
        )
        self.daemon.create(DeviceRequests=[{"Driver": "cdi", "DeviceIDs": ["a.com/hooked=it"]}])

    def act(self):
        self.daemon.do("POST", "/containers/cc/start")
        self.daemon.do("POST", "/containers/cc/stop?t=0")
        # Whoever looks into it is let in when all of its last life has been taken down.
        self.daemon.do("HEAD", "/containers/cc/archive?path=/")

    def check(self):
        assert self.startable() in ("created", "running", "exited")
        self.daemon.do("DELETE", "/containers/cc")
        eventually(lambda: len(self.undone.read_text()) >= len(self.begun.read_text()) > 0)


@scenario
class Stop(Scenario):
    def prepare(self):
        self.daemon.run("sh", "-c", "trap '' TERM; sleep 1000", volumes=["/var"], PortBindings=PORT)

    def act(self):
        self.daemon.do("POST", "/containers/cc/stop?t=0")

    def check(self):
        assert self.startable() in ("exited", "running")


@scenario
class KillPaused(Scenario):
    def prepare(self):
        self.daemon.run()
        self.daemon.do("POST", "/containers/cc/pause")

    def act(self):
        self.daemon.do("POST", "/containers/cc/kill?signal=TERM")

    def check(self):
        status = self.daemon.inspect("cc")["State"]["Status"]
        assert status in ("paused", "running", "exited")


@scenario
class Pause(Scenario):
    def prepare(self):
        self.container = self.daemon.run()

    def act(self):
        self.daemon.do("POST", "/containers/cc/pause")
        self.daemon.do("POST", "/containers/cc/unpause")

    def check(self):
        paused = self.daemon.inspect("cc")["State"]["Status"] == "paused"
        group = Path("/sys/fs/cgroup/freezer/docker", self.container)
        if group.is_dir():
            assert (group / "freezer.state").read_text() == ("FROZEN\n" if paused else "THAWED\n")
        else:
            frozen = (Path("/sys/fs/cgroup/docker", self.container) / "cgroup.events").read_text()
            assert f"frozen {int(paused)}" in frozen


@scenario
class CreateWithImage(Scenario):
    """The view of a mounted image comes and goes with its container."""

    also = ("create.snapshot-prepared", "remove.snapshot-removed")

    def act(self):
        mount = {"Type": "image", "Source": "busybox", "Target": "/image"}
        body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"Mounts": [mount]}}
        self.daemon.do("POST", "/containers/create?name=cc", body)
        self.daemon.do("DELETE", "/containers/cc")

    def check(self):
        self.startable()


@scenario
class Update(Scenario):
    """The kernel has what the record says."""

    def prepare(self):
        self.container = self.daemon.run(CpuShares=300, PidsLimit=70)

    def act(self):
        self.daemon.do("POST", "/containers/cc/update", {"CpuShares": 400, "PidsLimit": 50, "CpuQuota": 50000})

    def check(self):
        config = self.daemon.inspect("cc")["HostConfig"]
        assert (config["CpuShares"], config["PidsLimit"], config["CpuQuota"]) in ((300, 70, 0), (400, 50, 50000))
        if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
            assert self.limit("cpu", "cpu.shares") == str(config["CpuShares"])
            assert self.limit("cpu", "cpu.cfs_quota_us") == str(config["CpuQuota"] or -1)
            assert self.limit("pids", "pids.max") == str(config["PidsLimit"])

    def limit(self, controller, file):
        return Path("/sys/fs/cgroup", controller, "docker", self.container, file).read_text().strip()


@scenario
class ChildWithoutMemory(Scenario):
    """A child is killed for lack of memory, which is recorded although the container goes on."""

    def prepare(self):
        eat = "(x=a; while :; do x=$x$x; done)"
        script = f"mkfifo /f; read x < /f; {eat}; exec sleep 1000"
        container = self.daemon.run("sh", "-c", script, Memory=16 << 20, MemorySwap=16 << 20)
        self.fifo = fifo_of(self.daemon.pid(container))

    def act(self):
        self.fifo.write_text("go\n")
        eventually(lambda: self.daemon.inspect("cc")["State"]["OOMKilled"])
        # It is seen before it is durable; what is recorded after it is so later.
        self.daemon.do("POST", "/volumes/create", {"Name": "later"})

    def check(self):
        eventually(lambda: self.daemon.inspect("cc")["State"]["OOMKilled"])
        assert self.daemon.inspect("cc")["State"]["Status"] == "running"


@scenario
class EndByItself(Scenario):
    """The end of a container's own program, with its code and its time."""

    def prepare(self):
        container = self.daemon.run("sh", "-c", "mkfifo /f; read x < /f; exit 7", PortBindings=PORT)
        self.fifo = fifo_of(self.daemon.pid(container))

    def act(self):
        self.fifo.write_text("go\n")
        wait(self.daemon, "cc")

    def check(self):
        state = self.daemon.inspect("cc")["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 7)


@scenario
class EndAndGo(EndByItself):
    """The same with --rm: the next daemon removes what the last one could not."""

    def prepare(self):
        command = ["sh", "-c", "mkfifo /f; read x < /f; exit 7"]
        container = self.daemon.run(*command, volumes=["/var"], AutoRemove=True)
        self.fifo = fifo_of(self.daemon.pid(container))

    def act(self):
        super().act()
        eventually(lambda: self.daemon.ask("GET", "/containers/cc/json")[0] == 404)

    def check(self):
        eventually(lambda: not self.daemon.names())
        assert self.daemon.volumes() == []


@scenario
class Restart(EndByItself):
    also = ("end.known", "end.taken-down", "end.recorded", "start.process-born", "start.recorded")

    def prepare(self):
        script = "[ -e /f ] && exec sleep 1000; mkfifo /f; read x < /f; exit 7"
        container = self.daemon.run("sh", "-c", script, RestartPolicy={"Name": "always"}, PortBindings=PORT)
        self.pid = self.daemon.pid(container)
        self.fifo = fifo_of(self.pid)

    def act(self):
        self.fifo.write_text("go\n")
        self.runs_again()

    def check(self):
        self.runs_again()

    def runs_again(self):
        def is_up():
            state = self.daemon.do("GET", "/containers/cc/json")["State"]
            return state["Running"] and state["Pid"] != self.pid and os.path.exists(f"/proc/{state['Pid']}/root")

        eventually(is_up)


@scenario
class Remove(Scenario):
    def prepare(self):
        self.daemon.create(volumes=["/var", "/data"], Binds=["named:/named"])

    def act(self):
        self.daemon.do("DELETE", "/containers/cc?v=1")

    def check(self):
        assert "named" in self.daemon.volumes()
        if self.startable() is None:
            assert self.daemon.volumes() == ["named"]
        else:
            assert len(self.daemon.volumes()) == 3


@scenario
class RemoveRunning(Scenario):
    def prepare(self):
        self.daemon.run(volumes=["/var"], PortBindings=PORT)

    def act(self):
        self.daemon.do("DELETE", "/containers/cc?force=1&v=1")

    def check(self):
        assert self.startable() in (None, "exited", "running")


@scenario
class Exec(Scenario):
    def prepare(self):
        self.daemon.run()

    def act(self):
        made = self.daemon.do("POST", "/containers/cc/exec", {"Cmd": ["touch", "/done"]})["Id"]
        self.daemon.do("POST", f"/exec/{made}/start", {"Detach": True})
        eventually(lambda: not self.daemon.do("GET", f"/exec/{made}/json")["Running"])

    def check(self):
        root = Path(f"/proc/{self.daemon.pid('cc')}/root")
        before = (root / "done").exists()
        self.act()
        assert (root / "done").exists()
        assert before in (True, False)
        assert self.startable() == "running"


@scenario
class Health(Scenario):
    """A probe that fails, and what it makes of the container."""

    def prepare(self):
        check = {"Test": ["CMD", "false"], "Interval": 10_000_000, "Retries": 1}
        body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "Healthcheck": check}
        self.daemon.do("POST", "/containers/create?name=cc", body)

    def act(self):
        self.daemon.do("POST", "/containers/cc/start")
        eventually(lambda: self.status() == "unhealthy")

    def status(self):
        return self.daemon.do("GET", "/containers/cc/json")["State"]["Health"]["Status"]

    def check(self):
        if self.daemon.inspect("cc")["State"]["Running"]:
            eventually(lambda: self.status() == "unhealthy")
        self.startable()


@scenario
class Heal(Health):
    """An unhealthy container is restarted as its label says: more than once, if a probe is faster than its program."""

    varying = ("ledger.", "network.", *Scenario.varying)

    def prepare(self):
        check = {"Test": ["CMD", "test", "-e", "/ok"], "Interval": 10_000_000, "Retries": 1}
        labels = {"wherry.on-unhealthy": "restart"}
        body = {"Image": "busybox", "Cmd": ["sh", "-c", "[ -e /was ] && touch /ok; touch /was; exec sleep 1000"]}
        host = {"HostConfig": {}, "StopSignal": "KILL"}
        self.daemon.do("POST", "/containers/create?name=cc", {**body, **host, "Labels": labels, "Healthcheck": check})

    def act(self):
        self.daemon.do("POST", "/containers/cc/start")
        eventually(lambda: self.status() == "healthy")

    def check(self):
        if self.daemon.inspect("cc")["State"]["StartedAt"] > "1":
            # A restart that was cut after the end is not begun again: as with `docker restart`.
            state = self.daemon.inspect("cc")["State"]
            if state["Status"] == "running":
                eventually(lambda: self.status() == "healthy")
        self.startable()


@scenario
class Session(Scenario):
    """What was made in a session goes when it ends, be it under the next daemon."""

    def act(self):
        connection = socket.socket(socket.AF_UNIX)
        with connection, connection.makefile("rb") as answer:
            connection.connect(str(self.daemon.socket))
            connection.sendall(b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            line = next((line for line in answer if line.startswith(b"{")), b"")
            if not line:
                self.daemon.do("GET", "/_ping")  # which finds nobody
            label = {"wherry.session": json.loads(line)["Id"]}
            self.daemon.do("POST", "/volumes/create", {"Name": "vv", "Labels": label})
            body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "Labels": label, "Volumes": {"/var": {}}}
            self.daemon.do("POST", "/containers/create?name=cc", body)
            self.daemon.do("POST", "/containers/cc/start")
            self.daemon.do("DELETE", f"/sessions/{label['wherry.session']}")

    def check(self):
        for each in self.daemon.do("GET", "/sessions"):
            self.daemon.do("DELETE", f"/sessions/{each['Id']}")
        assert self.daemon.names() == self.daemon.volumes() == []


@scenario
class Reconfigure(Scenario):
    """A port more and one less on a running container, with a volume for its next start."""

    def prepare(self):
        self.daemon.run(PortBindings=PORT)

    def act(self):
        bound = [{"HostIp": "127.0.0.1", "HostPort": "42189"}]
        volume = {"Type": "volume", "Source": "vv", "Target": "/vv"}
        wish = {"Publish": {"81/tcp": bound}, "Unpublish": {"80/tcp": None}, "Env": ["A=b"], "Mounts": [volume]}
        self.daemon.do("POST", "/containers/cc/update", {"Wherry": wish})

    def check(self):
        found = self.daemon.inspect("cc")
        changed = "A=b" in (found["Config"]["Env"] or ())
        wanted = {"81/tcp": "42189"} if changed else {"80/tcp": "42188"}
        ports = {port: said[0]["HostPort"] for port, said in found["NetworkSettings"]["Ports"].items() if said}
        assert ports == wanted
        # The other one is nobody's: it can be had by anybody.
        for port in {"42188", "42189"} - set(wanted.values()):
            with socket.create_server(("127.0.0.1", int(port))):
                pass
        assert self.daemon.volumes() == (["vv"] if changed else [])
        self.daemon.do("POST", "/containers/cc/restart?t=0")
        assert [one["Destination"] for one in self.daemon.inspect("cc")["Mounts"]] == (["/vv"] if changed else [])
        assert self.startable() == "running"


@scenario
class Links(Scenario):
    """The target of a link starts with another address than it had, and the link is removed."""

    def prepare(self):
        self.daemon.run(name="db")
        self.daemon.run(name="cc", Links=["db:alias", "db:other"])
        self.daemon.do("POST", "/containers/db/stop?t=0")
        self.daemon.settle()
        # Which address is the lowest free one is a matter of moments, so the one of before is made another.
        hosts = Path(self.daemon.inspect("cc")["HostsPath"])
        hosts.write_text(re.sub(r"^\S+(?=\t(alias|other))", "10.213.9.250", hosts.read_text(), flags=re.MULTILINE))

    def address(self, name):
        return self.daemon.inspect(name)["NetworkSettings"]["IPAddress"]

    def act(self):
        self.daemon.do("POST", "/containers/db/start")
        self.daemon.do("DELETE", "/containers/cc/alias?link=1")

    def check(self):
        found = self.daemon.inspect("cc")
        hosts = Path(found["HostsPath"]).read_text()
        address = self.address("db")
        assert f"{address}\tother" in hosts
        if "/db:/cc/alias" in found["HostConfig"]["Links"]:
            assert f"{address}\talias" in hosts
        assert self.startable() == "running"
        self.startable("db")


@scenario
class SendLog(Scenario):
    """Lines are on their way to a server: each of them comes, some may come twice."""

    wanted = tuple(str(number) for number in range(1, 21))

    def prepare(self):
        self.server = LogServer(str(self.daemon.root / "syslog.sock"))
        options = {"syslog-address": f"unix://{self.server.server_address}"}
        self.daemon.create("seq", "20", LogConfig={"Type": "syslog", "Config": options})

    def act(self):
        self.daemon.do("POST", "/containers/cc/start")
        identifier = self.daemon.inspect("cc")["Id"]
        place = self.daemon.data / "containers" / identifier / "local-logs" / "shipped"
        eventually(lambda: self.daemon.inspect("cc") and place.exists() and place.stat().st_size)

    def check(self):
        try:
            wait(self.daemon, "cc")  # it ends by itself, at any moment
            assert self.startable() in ("created", "exited")
            eventually(lambda: set(self.wanted) <= set(self.server.lines))
            assert list(dict.fromkeys(self.server.lines)) == list(self.wanted)
        finally:
            self.server.end()


@scenario
class Rename(Scenario):
    def prepare(self):
        self.daemon.create()

    def act(self):
        self.daemon.do("POST", "/containers/cc/rename?name=dd")

    def check(self):
        (name,) = self.daemon.names()
        assert name in ("cc", "dd")
        self.startable(name)


@scenario
class Pull(Scenario):
    @property
    def name(self):
        return f"{self.registry}/pulled"

    def act(self):
        self.daemon.do("POST", f"/images/create?fromImage={self.name}&tag=1")

    def check(self):
        """Not there, or by its name and usable; in any case the next pull makes it whole."""
        there = [name for name in self.daemon.images() if name != "busybox:latest"]
        assert there in ([], [f"{self.name}:1"])
        if there:
            self.usable()
        self.act()
        self.usable()

    def usable(self):
        self.daemon.run(name="pp", image=f"{self.name}:1")
        self.daemon.do("DELETE", "/containers/pp?force=1")


@scenario
class PullOfKnown(Pull):
    """Another name for what is there."""

    def prepare(self):
        super().act()

    def act(self):
        self.daemon.do("POST", f"/images/create?fromImage={self.name}&tag=2")

    def check(self):
        there = [name for name in self.daemon.images() if name != "busybox:latest"]
        assert there in ([f"{self.name}:1"], [f"{self.name}:1", f"{self.name}:2"])
        self.usable()


@scenario
class Load(Scenario):
    def act(self):
        self.daemon.do("POST", "/images/load", self.archive, headers={"Content-Type": "application/x-tar"})

    def check(self):
        there = [name for name in self.daemon.images() if name != "busybox:latest"]
        assert there in ([], ["loaded:1", "loaded:2"])
        if there:
            self.daemon.run(name="pp", image="loaded:1")


@scenario
class Import(Scenario):
    def act(self):
        self.daemon.do("POST", "/images/create?fromSrc=-&repo=imported&tag=1&message=x", self.rootfs + b"\0" * 512)

    def check(self):
        there = [name for name in self.daemon.images() if name != "busybox:latest"]
        assert there in ([], ["imported:1"])
        if there:
            self.daemon.run(name="pp", image="imported:1")


@scenario
class Tag(Scenario):
    def act(self):
        self.daemon.do("POST", "/images/busybox/tag?repo=other&tag=1")

    def check(self):
        assert self.daemon.images() in (["busybox:latest"], ["busybox:latest", "other:1"])


@scenario
class RemoveImage(Load):
    """Of two names, one by one."""

    def prepare(self):
        super().act()

    def act(self):
        self.daemon.do("DELETE", "/images/loaded:1")
        self.daemon.do("DELETE", "/images/loaded:2")

    def check(self):
        there = [name for name in self.daemon.images() if name != "busybox:latest"]
        assert there in ([], ["loaded:2"], ["loaded:1", "loaded:2"])
        if there:
            self.daemon.run(name="pp", image="loaded:2")


@scenario
class RemoveVolume(Scenario):
    def prepare(self):
        self.daemon.do("POST", "/volumes/create", {"Name": "vv"})

    def act(self):
        self.daemon.do("DELETE", "/volumes/vv")

    def check(self):
        if self.daemon.volumes():
            self.daemon.run(Binds=["vv:/vv"])


@scenario
class CreateVolume(Scenario):
    def act(self):
        self.daemon.do("POST", "/volumes/create", {"Name": "vv"})

    def check(self):
        self.daemon.run(Binds=["vv:/vv"])


@scenario
class Open(Scenario):
    """The daemon's own start, with something to do of each kind."""

    also = ("network.link-deleted", "content.index-written")
    varying = ()

    def prepare(self):
        self.daemon.run(name="lives", PortBindings=PORT)
        self.daemon.run("true", name="ended")
        wait(self.daemon, "ended")
        self.daemon.settle()
        container = self.daemon.run("sh", "-c", "mkfifo /f; read x < /f; exit 7", name="cc")
        self.pid, fifo = self.daemon.pid("lives"), fifo_of(self.daemon.pid(container))
        self.daemon.kill()
        fifo.write_text("go\n")
        # As a start leaves it that was cut before anything else.
        link = f"link add {STRAY} group {LINK_GROUP} master {self.daemon.bridge} type veth peer name {STRAY}-peer"
        subprocess.run(["ip", *link.split()], check=True)

    def act(self):
        if not self.daemon.start():
            raise Gone
        eventually(lambda: not os.path.exists(f"/sys/class/net/{STRAY}"))
        # What makes links go has noticed that when it has seen to the next one.
        self.daemon.run(name="next")
        self.daemon.do("DELETE", "/containers/next?force=1")

    def check(self):
        assert set(self.daemon.names()) - {"next"} == {"cc", "ended", "lives"}
        assert self.daemon.pid("lives") == self.pid
        assert self.daemon.inspect("cc")["State"]["ExitCode"] == 7


@scenario
class OpenAfterACutStart(Scenario):
    """A process is on its way to the world; its network is there, and maybe its record."""

    varying = ("ledger.", *Scenario.varying)

    def prepare(self):
        self.daemon.create(PortBindings=PORT)
        with self.daemon.wishing("start.monitor-forked"), pytest.raises(Exception, match="start"):
            self.daemon.do("POST", "/containers/cc/start")
        self.daemon.died()

    def act(self):
        if not self.daemon.start():
            raise Gone
        status = self.daemon.inspect("cc")["State"]["Status"]
        eventually(lambda: self.daemon.traces()["links"][-1] == 3 + (status == "running"))

    def check(self):
        assert self.startable() in ("created", "running")


@scenario
class OpenWithoutBridge(Scenario):
    """Somebody deleted it while no daemon ran."""

    def prepare(self):
        self.daemon.kill()
        subprocess.run(["ip", "link", "delete", self.daemon.bridge], check=True)

    def act(self):
        if not self.daemon.start():
            raise Gone

    def check(self):
        self.daemon.run(PortBindings=PORT)


@scenario
class RemoveTheLastOfAnImage(Load):
    """The image went by force while the container stood on its layers."""

    def prepare(self):
        super().act()
        self.daemon.create(image="loaded:1")
        for name in ("loaded:1", "loaded:2"):
            self.daemon.do("DELETE", f"/images/{name}?force=1")

    def act(self):
        self.daemon.do("DELETE", "/containers/cc")

    def check(self):
        self.startable()


@scenario
class PutArchive(Scenario):
    """A cut leaves none, some or all of the files, and a container that starts."""

    def prepare(self):
        self.daemon.create(volumes=["/v"])

    def act(self):
        self.daemon.do("PUT", "/containers/cc/archive?path=/v", self.rootfs)

    def check(self):
        self.startable()


@scenario
class Commit(Scenario):
    """The container goes on, unfrozen; the image is not there, or whole."""

    def prepare(self):
        self.daemon.run("sh", "-c", "echo new >/new; sleep 1000")
        eventually(lambda: self.daemon.ask("HEAD", "/containers/cc/archive?path=/new")[0] == 200)

    def act(self):
        self.daemon.do("POST", "/commit?container=cc&repo=made&tag=1")
        # The content of its layer is written after the answer, or when it is wanted.
        self.daemon.do("GET", "/images/made:1/get")

    def check(self):
        assert self.startable() == "running"
        if "made:1" in self.daemon.images():
            self.daemon.do("GET", "/images/made:1/get")
            self.daemon.run("cat", "/new", name="dd", image="made:1")
            assert self.daemon.do("POST", "/containers/dd/wait")["StatusCode"] == 0


@scenario
class PruneContainers(Scenario):
    """Each of them is there, or gone."""

    def prepare(self):
        self.daemon.create(name="cc")
        self.daemon.create(name="dd", volumes=["/v"])

    def act(self):
        self.daemon.do("POST", "/containers/prune")

    def check(self):
        assert set(self.daemon.names()) <= {"cc", "dd"}
        self.startable()


class LogServer(socketserver.ThreadingUnixStreamServer):
    """A syslog server that keeps what it is told."""

    daemon_threads = True  # no failure keeps the tests from ending

    def __init__(self, path):
        Path(path).unlink(missing_ok=True)
        super().__init__(path, LogConnection)
        self.lines = []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def end(self):
        self.shutdown()
        self.thread.join()
        socketserver.UnixStreamServer.server_close(self)  # connections end with their daemons
        Path(self.server_address).unlink()


class LogConnection(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.server.lines.append(line.partition(b"]: ")[2].strip().decode())


class Gone(Exception):
    """As conftest's."""


def died(error):
    return type(error).__name__ == "Gone"


def eventually(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fifo_of(pid):
    path = Path(f"/proc/{pid}/root/f")
    eventually(path.exists)
    return path


def wait(daemon, name):
    daemon.do("POST", f"/containers/{name}/wait")


def points_of(kind, world, daemon, tmp_path):
    """The points that a scenario comes to when nothing is cut, as often as it does."""
    listed = tmp_path / "reached"
    listed.touch()
    run = kind(*world)
    run.prepare()
    with daemon.wishing(f"?{listed}"):
        run.act()
    run.check()
    daemon.clear()
    seen = Counter()
    for name in listed.read_text().split():
        seen[name] += 1
        yield name, seen[name]


REACHED = set()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_verb_that_is_cut_happens_wholly_or_not_at_all(
    name, daemon, leaves_nothing, registry, archive, rootfs, tmp_path
):
    """At each point that no scenario before it has come to, at each commit, and where it says so itself."""
    kind, world = SCENARIOS[name], (daemon, registry, archive, rootfs)
    points = list(points_of(kind, world, daemon, tmp_path))
    leaves_nothing("nothing was cut")
    also = ("ledger.committed", *kind.also)
    chosen = [(point, nth) for point, nth in points if point in also or (nth == 1 and point not in REACHED)]
    REACHED.update(point for point, _ in chosen)
    cut_all(kind, world, chosen, leaves_nothing)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_verb_may_be_cut_anywhere(name, daemon, leaves_nothing, registry, archive, rootfs, tmp_path):
    """At every point it comes to, the first and the last time."""
    kind, world = SCENARIOS[name], (daemon, registry, archive, rootfs)
    points = list(points_of(kind, world, daemon, tmp_path))
    last = dict(points)
    cut_all(kind, world, [(point, nth) for point, nth in points if nth in (1, last[point])], leaves_nothing)


def cut_all(kind, world, points, leaves_nothing):
    """Each failure is told with its point; the others are tried all the same."""
    daemon, failures = world[0], []
    for point, nth in points:
        try:
            cut(kind(*world), daemon, f"{point}:{nth}")
            leaves_nothing()
        except AssertionError as error:
            failures.append(f"{point}:{nth}: {error}")
            assert daemon.process.poll() is None or daemon.start()
            daemon.clear()
    assert not failures, "\n\n".join(failures)


def cut(run, daemon, point):
    # What is submitted while the ledger writes becomes one transaction: how many there are is a matter of moments.
    varying = run.varying if point.endswith(":1") else (*run.varying, "ledger.")
    run.prepare()
    with daemon.wishing(point):
        try:
            run.act()
            is_over = point.startswith(varying)
        except BaseException as error:
            if not died(error):
                raise
            is_over = False
        if is_over:
            daemon.kill()
        else:
            daemon.died()
    assert daemon.start()
    run.check()
    daemon.clear()


def test_every_point_was_reached():
    assert REACHED == POINTS
