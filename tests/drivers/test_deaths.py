"""What is left when the daemon, a monitor, the nursery or all of them are killed: everything of the container's."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import sys

import msgspec
import pytest

from wherry.drivers.driver import ExecBirth, ExitStatus, ProcessGone, Session
from wherry.drivers.native import NativeDriver
from wherry.oci.runtime import Process

# A daemon that starts what it is told on its standard input, and never ends by itself.
DAEMON = """
import array, asyncio, importlib.util, os, pathlib, socket, sys
spec = importlib.util.spec_from_file_location("conftest", sys.argv[1])
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
from wherry.drivers.driver import Session
from wherry.drivers.native import NativeDriver

async def main():
    boxes = conftest.Boxes(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    driver = NativeDriver(sys.argv[4])
    await driver.open()
    connection = socket.socket(fileno=int(sys.argv[5]))
    session = Session(socket=connection, stdin=True, stdout=True, framed=False)
    birth = boxes.birth("sh", "-c", sys.argv[6], open_stdin=True, stdin_once=True, sessions=(session,))
    await driver.start(birth)
    print(birth.id, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

COUNT = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 6"
LINES = "".join(f"line {number}\n" for number in range(20000))


def alive(driver, container_id):
    with open(f"{driver._root}/{container_id}/alive.json", "rb") as file:
        return msgspec.json.decode(file.read())


def monitor_pid(driver, container_id):
    return alive(driver, container_id)["monitor_pid"]


def kill(pid):
    """Kill a process and wait until it is dead, whoever its parent is."""
    pidfd = os.pidfd_open(pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()
    os.close(pidfd)


async def daemon_with(boxes, tmp_path, script):
    """A daemon in a process of its own with one container and a client attached to it."""
    ours, theirs = socket.socketpair()
    daemon = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DAEMON,
        os.path.join(os.path.dirname(__file__), "conftest.py"),
        boxes.rootfs,
        boxes.logs,
        tmp_path / "exec",
        str(theirs.fileno()),
        script,
        pass_fds=(theirs.fileno(),),
        stdout=asyncio.subprocess.PIPE,
    )
    theirs.close()
    container_id = (await daemon.stdout.readline()).decode().strip()
    assert container_id
    return daemon, container_id, ours


async def test_a_killed_daemon_leaves_container_session_and_log_as_they_were(boxes, tmp_path):
    daemon, container_id, client = await daemon_with(boxes, tmp_path, "cat; echo end; exit 3")
    client.sendall(b"before\n")
    assert await asyncio.to_thread(client.recv, 100) == b"before\n"
    daemon.kill()
    await daemon.wait()
    client.sendall(b"after\n")
    assert await asyncio.to_thread(client.recv, 100) == b"after\n"

    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    process = await driver.adopt(container_id)
    assert process.pid == alive(driver, container_id)["pid"]
    running = await process.exec(ExecBirth(id="e", process=Process(cwd="/", args=("true",), env=("PATH=/bin",))))
    assert (await running.wait()).code == 0
    client.shutdown(socket.SHUT_WR)
    assert (await process.wait()).code == 3
    assert await asyncio.to_thread(client.recv, 100) == b"end\n"
    client.close()
    assert boxes.text(container_id) == "before\nafter\nend\n"
    await driver.forget(container_id)
    await driver.close()


async def test_an_end_while_no_daemon_was_there_is_known_later(boxes, tmp_path):
    daemon, container_id, client = await daemon_with(boxes, tmp_path, "cat; exit 7")
    daemon.kill()
    await daemon.wait()
    client.shutdown(socket.SHUT_WR)
    assert await asyncio.to_thread(client.recv, 100) == b""
    client.close()
    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    found = await driver.adopt(container_id)
    assert isinstance(found, ExitStatus)
    assert found.code == 7
    await driver.forget(container_id)
    assert await driver.adopt(container_id) is None
    await driver.close()


async def test_a_killed_monitor_is_replaced_and_no_line_is_lost(driver, boxes):
    birth = boxes.birth("sh", "-c", f"read x; {COUNT}", open_stdin=True, stdin_once=True)
    process = await driver.start(birth)
    first = monitor_pid(driver, birth.id)
    kill(first)
    assert await process.pids() == [process.pid]
    assert monitor_pid(driver, birth.id) != first
    client, session = client_session(stdin=True, stdout=True, framed=False)
    await process.attach(session)
    client.sendall(b"go\n")
    assert (await process.wait()).code == 6
    assert boxes.text(birth.id) == LINES
    client.close()
    await driver.forget(birth.id)


@pytest.mark.parametrize("rotation", [{}, {"bytes_max": 20000, "files_max": 200}])
async def test_monitors_that_are_killed_while_they_write_lose_and_repeat_nothing(driver, boxes, rotation):
    birth = boxes.birth("sh", "-c", COUNT, **rotation)
    process = await driver.start(birth)
    killed = 0
    while not process.has_ended:
        size = logged(boxes, birth.id)
        try:
            kill(monitor_pid(driver, birth.id))
        except ProcessLookupError:
            break  # it has done its work
        killed += 1
        while await alive_again(process) and logged(boxes, birth.id) <= size + 20_000:
            pass
    assert (await process.wait()).code == 6
    assert killed > 1
    lines = [record["log"] for record in in_order(boxes, birth.id)]
    assert "".join(lines) == LINES
    await driver.forget(birth.id)


async def alive_again(process):
    try:
        return bool(await process.pids())
    except ProcessGone:
        return False


def logged(boxes, container_id):
    size = 0
    for path in boxes.logs.glob(f"{container_id}*"):
        with contextlib.suppress(FileNotFoundError):  # just rotated
            size += path.stat().st_size
    return size


def in_order(boxes, container_id):
    def age(path):
        return -int(path.suffix[1:]) if path.suffix[1:].isdecimal() else 1

    files = sorted(boxes.logs.glob(f"{container_id}.log*"), key=age)
    return [msgspec.json.decode(line) for path in files for line in path.read_bytes().splitlines()]


async def test_a_terminal_survives_its_monitor(driver, boxes):
    birth = boxes.birth("sh", terminal=True, open_stdin=True, stdin_once=True)
    process = await driver.start(birth)
    for word in ("one", "two"):
        client, session = client_session(stdin=True, stdout=True, framed=False)
        await process.attach(session)
        client.sendall(f"echo {word}\n".encode())
        heard = b""
        while f"\r\n{word}\r\n".encode() not in heard:
            heard += await asyncio.to_thread(client.recv, 1000)
        kill(monitor_pid(driver, birth.id))
        assert await process.pids() == [process.pid]
        client.close()
    client, session = client_session(stdin=True, stdout=True, framed=False)
    await process.attach(session)
    client.sendall(b"exit 5\n")
    assert (await process.wait()).code == 5
    client.close()
    await driver.forget(birth.id)


async def test_input_still_ends_after_the_monitor_was_replaced(driver, boxes):
    birth = boxes.birth("cat", open_stdin=True, stdin_once=True)
    process = await driver.start(birth)
    kill(monitor_pid(driver, birth.id))
    client, session = client_session(stdin=True, stdout=True, framed=False)
    await process.attach(session)
    client.sendall(b"words")
    client.shutdown(socket.SHUT_WR)
    assert (await process.wait()).code == 0
    assert boxes.text(birth.id) == "words"
    client.close()
    await driver.forget(birth.id)


async def test_held_descriptors_survive_the_monitor(driver, boxes):
    reading, writing = os.pipe()
    birth = boxes.birth("sleep", "1000", held_fds=(writing,))
    process = await driver.start(birth)
    kill(monitor_pid(driver, birth.id))
    await process.pids()
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    await process.signal(signal.SIGKILL)
    await process.wait()
    os.close(reading)
    await driver.forget(birth.id)


async def test_an_exec_of_a_killed_monitor_is_still_waited_for(driver, boxes):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    running = await process.exec(
        ExecBirth(id="e", process=Process(cwd="/", args=("sh", "-c", "sleep 0.3; exit 4"), env=("PATH=/bin",)))
    )
    kill(monitor_pid(driver, birth.id))
    assert (await running.wait()).code == 4
    await process.signal(signal.SIGKILL)
    assert (await process.wait()).code == 137
    await driver.forget(birth.id)


async def test_monitor_and_container_killed_together_leave_a_status(driver, boxes):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    monitor = monitor_pid(driver, birth.id)
    os.kill(monitor, signal.SIGKILL)
    os.kill(process.pid, signal.SIGTERM)
    os.kill(process.pid, signal.SIGKILL)
    assert (await process.wait()).code == 137
    await driver.forget(birth.id)


async def test_a_killed_nursery_is_replaced(driver, boxes):
    before = boxes.birth("sh", "-c", "read x; exit 8", open_stdin=True)
    process = await driver.start(before)
    kill(driver._monitors.nursery.pid)
    after = boxes.birth("echo", "again")
    await (await driver.start(after)).wait()
    assert boxes.text(after.id) == "again\n"
    # Its parent is nobody's who tells: the kernel does.
    kill(monitor_pid(driver, before.id))
    client, session = client_session(stdin=True)
    await process.attach(session)
    client.sendall(b"\n")
    assert (await process.wait()).code == 8
    client.close()
    await driver.forget(before.id)
    await driver.forget(after.id)


async def test_with_daemon_nursery_and_monitor_dead_the_container_is_still_found(boxes, tmp_path):
    daemon, container_id, client = await daemon_with(boxes, tmp_path, f"sleep 0.5; {COUNT}")
    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    monitor = monitor_pid(driver, container_id)
    kill(monitor)
    daemon.kill()
    await daemon.wait()
    client.close()
    process = await driver.adopt(container_id)
    assert (await process.wait()).code == 6
    assert boxes.text(container_id) == LINES
    await driver.forget(container_id)
    await driver.close()


def client_session(**wishes):
    ours, theirs = socket.socketpair()
    return ours, Session(socket=theirs, **wishes)


async def test_a_daemon_ends_and_forgets_the_containers_that_it_does_not_know(boxes, tmp_path):
    first = NativeDriver(str(tmp_path / "exec"))
    await first.open()
    known = await first.start(boxes.birth("sleep", "1000"))
    unknown = await first.start(boxes.birth("sleep", "1000"))
    os.mkdir(f"{first._root}/half-made")
    pidfd = os.pidfd_open(unknown.pid)
    await first.close()
    second = NativeDriver(str(tmp_path / "exec"))
    await second.open()
    assert await second.sweep({known.id}) == sorted(["half-made", unknown.id])
    assert os.listdir(second._root) == [known.id]
    assert select.select([pidfd], [], [], 0)[0]
    os.close(pidfd)
    process = await second.adopt(known.id)
    await process.signal(signal.SIGKILL)
    assert (await process.wait()).code == 137
    await second.forget(known.id)
    await second.close()


async def test_what_another_driver_left_is_found_and_ended(driver, boxes):
    """A driver that adopted nothing takes all that runs under its root for strays."""
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    assert await driver.audit({"docker"}) == []
    stranger = NativeDriver(os.path.dirname(driver._root))
    await stranger.open()
    try:
        (finding,) = await stranger.audit(set())
        assert (finding.kind, finding.name, finding.remedy) == ("container process", birth.id, "kill it")
        await stranger.mend(finding)
        assert await stranger.audit(set()) == []
    finally:
        await stranger.close()
    assert (await process.wait()).code == 137
