"""An engine in this process: it serves, it ends, and nothing of it is left, also when it is killed."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import wherry
from wherry import aio

pytestmark = pytest.mark.usefixtures("without_foreman", "leaves_no_trace")
SLEEP = ["sleep", "1000"]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "engine"


def test_it_runs_containers_without_a_daemon_and_leaves_nothing(busybox_tar):
    with wherry.Engine.local() as engine:
        root = engine.root
        engine.images.import_(busybox_tar, "busybox")
        assert engine.call("busybox", "echo here").text == "here\n"
        with engine.run("busybox", ["sh", "-c", "exec httpd -f -h /etc"], ports={80: 0}) as web:
            web.wait_ready(http="/passwd")
        engine.run("busybox", SLEEP)
        assert root.exists()
    assert not root.exists()
    with pytest.raises(wherry.Unreachable):
        engine.ping()


def test_many_threads_use_it_at_once(busybox_tar):
    said = []
    with wherry.Engine.local(bridge="none") as engine:
        engine.images.import_(busybox_tar, "busybox")

        def work(number):
            said.append(engine.call("busybox", f"echo {number}", network="none").text)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(said) == [f"{number}\n" for number in range(8)]


async def test_it_is_there_for_asyncio_too(busybox_tar):
    async with aio.Engine.local(bridge="none") as engine:
        await engine.images.import_(busybox_tar, "busybox")
        async with await engine.run("busybox", SLEEP, network="none") as container:
            assert (await container.exec("echo inside")).text == "inside\n"


def test_a_root_keeps_images_and_containers_only_when_asked(root, busybox_tar):
    with wherry.Engine.local(root) as engine:
        engine.images.import_(busybox_tar, "busybox")
        engine.volumes.create("kept")
        engine.run("busybox", SLEEP, name="gone")
    with wherry.Engine.local(root, keep=True) as engine:
        assert engine.containers.list(all=True) == ()
        assert [volume.name for volume in engine.volumes.list()] == ["kept"]
        pid = engine.run("busybox", SLEEP, name="stays").inspect().state.pid
    os.kill(pid, 0)
    with wherry.Engine.local(root) as engine:
        assert engine.containers.get("stays").inspect().state.pid == pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PROGRAM = """
import sys, wherry
engine = wherry.Engine.local(**eval(sys.argv[1]))
engine.open()
engine.images.import_(sys.stdin.buffer.read(), "busybox")
print(engine.root, engine.run("busybox", ["sleep", "1000"]).inspect().state.pid, flush=True)
import signal
if not sys.argv[2:]: signal.pause()
"""


def program(busybox_tar, *words, **options):
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, repr(options), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    started.stdin.write(busybox_tar)
    started.stdin.close()
    root, pid = started.stdout.readline().split()
    return started, Path(os.fsdecode(root)), int(pid)


def test_a_killed_program_leaves_no_container(busybox_tar):
    started, root, pid = program(busybox_tar)
    alive = os.pidfd_open(pid)
    started.kill()
    started.wait()
    started.stdout.close()
    assert select.select([alive], [], [], 20)[0]
    os.close(alive)
    until_gone(root)


def test_a_program_that_does_not_close_its_engine_leaves_no_container(busybox_tar):
    started, root, pid = program(busybox_tar, "ends")
    assert started.wait() == 0
    started.stdout.close()
    until_gone(root)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_killed_program_that_wanted_it_leaves_its_container(busybox_tar, root):
    started, *_ = program(busybox_tar, root=str(root), keep=True)
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stdout.close()
    with wherry.Engine.local(root) as engine:
        assert [each.state for each in engine.containers.list()] == ["running"]


def until_gone(root):
    """Wait for the guardian, which lives in a session of its own, to end."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if os.fsencode(root) in path.read_bytes() and b"guardian" in path.read_bytes():
            guardian = os.pidfd_open(int(path.parent.name))
            assert select.select([guardian], [], [], 20)[0]
            os.close(guardian)
    assert not root.exists()


def test_without_root_it_says_so():
    words = "import os, wherry; engine = wherry.Engine.local('/tmp/x'); os.setuid(65534); engine.open()"
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    assert "EngineFailed: an engine in this process needs root" in said.stderr.splitlines()[-1]


def test_what_cannot_start_says_why_and_leaves_nothing(tmp_path):
    root = tmp_path / "file"
    root.write_text("")
    with pytest.raises(wherry.EngineFailed, match=r"cannot start: .*Not a directory"):
        wherry.Engine.local(root).open()
    with pytest.raises(ValueError, match="outlive"):
        wherry.Engine.local(keep=True)
    assert not wherry.Engine.local().root.exists()
