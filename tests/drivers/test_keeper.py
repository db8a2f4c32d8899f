"""The keeper: outlives everybody, gives back what a killed monitor had, and is gone when nobody needs it."""

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from wherry.drivers.driver import ExecBirth, Session
from wherry.drivers.keeper import KeeperFailed, package_path
from wherry.drivers.native import NativeDriver
from wherry.monitor import keeping, rundir
from wherry.oci.runtime import Process

REAPED_NS = 500_000_000
HEAVY = {"asyncio", "collections", "contextlib", "ctypes", "enum", "msgspec", "re", "signal", "socket", "typing"}


def keeper_of(root):
    """The process that listens at this exec-root; None when there is none."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "comm").read_text() == "wherry-keeper\n" and f"{root}/keeper.sock" in (
                path / "cmdline"
            ).read_text().split("\0"):
                return int(path.name)
        except OSError:
            continue
    return None


async def keeper_when_ready(driver, root):
    await driver._monitors.keeper.give("nothing")
    return keeper_of(root)


def wait_for_end(pid):
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(20_000)
    os.close(pidfd)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)


def monitor_pid(driver, container_id):
    return msgspec.json.decode(Path(driver._root, container_id, "alive.json").read_bytes())["monitor_pid"]


def session(**wishes):
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    return ours, Session(socket=theirs, **wishes)


def hear(client, ending):
    heard = b""
    while not re.search(ending, heard, re.DOTALL):
        more = client.recv(1000)
        assert more, f"the session ended after {heard!r}"
        heard += more
    return heard


def exec_of(*args, terminal=False, session=None):
    process = Process(cwd="/", args=args, env=("PATH=/bin",), terminal=terminal)
    return ExecBirth(id="e", process=process, session=session, open_stdin=session is not None)


async def kept(driver, container_id):
    found = await driver._monitors.keeper.give(container_id)
    for fd in found.fds:
        os.close(fd)
    return found.kept


async def end(driver, process):
    await process.signal(signal.SIGKILL)
    await process.wait()
    await driver.forget(process.id)


async def test_it_ends_with_the_last_daemon_when_nothing_is_kept(tmp_path):
    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    pid = await keeper_when_ready(driver, tmp_path / "exec")
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] != str(os.getpid())
    await driver.close()
    assert os.listdir(tmp_path / "exec") == ["containers"]
    await asyncio.to_thread(wait_for_end, pid)


async def test_it_stays_for_a_container_and_ends_after_it(tmp_path, boxes):
    root = tmp_path / "exec"
    driver = NativeDriver(str(root))
    await driver.open()
    client, first = session(stdin=True)
    birth = boxes.birth("cat", open_stdin=True, stdin_once=True, sessions=(first,))
    await driver.start(birth)
    pid = keeper_of(root)
    await driver.close()
    other = NativeDriver(str(root))
    await other.open()
    assert await keeper_when_ready(other, root) == pid
    process = await other.adopt(birth.id)
    await other.close()
    assert keeper_of(root) == pid
    assert process.pid
    client.close()
    await asyncio.to_thread(wait_for_end, pid)


async def test_nobody_but_the_owner_reaches_it(driver, tmp_path):
    await keeper_when_ready(driver, tmp_path / "exec")
    assert (tmp_path / "exec/keeper.sock").stat().st_mode & 0o777 == 0o600


async def test_it_holds_nothing_of_what_has_ended(driver, boxes):
    client, first = session(stdin=True, stdout=True, framed=False)
    birth = boxes.birth("cat", open_stdin=True, sessions=(first,), held_fds=(os.open("/dev/null", os.O_RDONLY),))
    process = await driver.start(birth)
    kinds = [one.fds for one in await kept(driver, birth.id)]
    assert sorted(kinds) == [("held",), ("pidfd", "stdin", "stdout", "stderr", "status"), ("socket",)]
    other, second = session(stdin=True, stdout=True, framed=False)
    running = await process.exec(exec_of("cat", session=second))
    assert len(await kept(driver, birth.id)) == 5
    other.shutdown(socket.SHUT_WR)
    assert (await running.wait()).code == 0
    assert other.recv(10) == b""
    client.close()
    while len(await kept(driver, birth.id)) > 2:
        pass
    await end(driver, process)
    assert await kept(driver, birth.id) == ()
    other.close()


async def test_sessions_outlive_their_monitor(driver, boxes):
    client, first = session(stdin=True, stdout=True, stderr=True)
    birth = boxes.birth("cat", open_stdin=True, stdin_once=True, sessions=(first,))
    process = await driver.start(birth)
    other, second = session(stdin=True, stdout=True, stderr=True)
    running = await process.exec(exec_of("sh", "-c", "cat; exit 9", session=second))
    for word in (b"one\n", b"two\n", b"three\n"):
        for each in (client, other):
            each.sendall(word)
            assert await asyncio.to_thread(hear, each, word) == b"\x01\0\0\0\0\0\0" + bytes([len(word)]) + word
        kill(monitor_pid(driver, birth.id))
    other.shutdown(socket.SHUT_WR)
    assert (await running.wait()).code == 9
    client.shutdown(socket.SHUT_WR)
    assert (await process.wait()).code == 0
    for each in (client, other):
        assert each.recv(10) == b""
        each.close()
    assert boxes.text(birth.id) == "one\ntwo\nthree\n"
    await driver.forget(birth.id)


async def test_terminals_outlive_monitor_and_nursery_and_daemon(boxes, tmp_path):
    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    client, first = session(stdin=True, stdout=True, framed=False)
    birth = boxes.birth("sh", terminal=True, open_stdin=True, stdin_once=True, sessions=(first,))
    process = await driver.start(birth)
    other, second = session(stdin=True, stdout=True, framed=False)
    await process.exec(exec_of("sh", terminal=True, session=second))
    monitor, pid = monitor_pid(driver, birth.id), process.pid
    kill(driver._monitors.nursery.pid)
    await driver.close()
    kill(monitor)

    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    process = await driver.adopt(birth.id)
    assert process.pid == pid
    for each in (client, other):
        each.sendall(b"echo $((40+2)) on $(tty)\n")
        # Up to its prompt: what is typed earlier, terminal and shell echo both.
        await asyncio.to_thread(hear, each, b"\r\n42 on /dev/pts/.*/ # ")
    other.sendall(b"exit 4\n")
    await asyncio.to_thread(hear, other, b"exit 4\r\n")
    assert other.recv(10) == b""
    client.sendall(b"exit 5\n")
    assert (await process.wait()).code == 5
    client.close()
    other.close()
    await driver.forget(birth.id)
    await driver.close()


async def test_an_end_that_no_monitor_saw_has_its_true_code_and_time(boxes, tmp_path):
    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    birth = boxes.birth("sh", "-c", "echo last words; read x; exit 7", open_stdin=True)
    process = await driver.start(birth)
    monitor = monitor_pid(driver, birth.id)
    await driver.close()
    kill(monitor)
    before = time.time_ns()
    Path(f"/proc/{process.pid}/fd/0").write_bytes(b"\n")
    wait_for_end(process.pid)
    over = time.time_ns()

    driver = NativeDriver(str(tmp_path / "exec"))
    await driver.open()
    status = await driver.adopt(birth.id)
    assert status.code == 7
    assert before < status.finished_ns < over + REAPED_NS
    assert boxes.text(birth.id) == "last words\n"
    await driver.forget(birth.id)
    await driver.close()


def waits_with_bytes_in_hand(pid, page):
    """Whether a monitor sleeps while its page says that it has bytes in hand: then it waits for a client."""
    before, state = naps(pid)
    busy = page.read_bytes()[0]
    return bool(busy) and state == "S" and naps(pid) == (before, "S")


def naps(pid):
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return lines["voluntary_ctxt_switches"], lines["State"].split()[0]


async def test_what_has_a_gap_is_not_passed_off_as_whole(driver, boxes):
    """A client that did not take what the killed monitor had in hand for it is sent away; others go on."""
    slow, first = session(stdout=True)
    birth = boxes.birth("sh", "-c", "read x; seq 1 400000; read x", open_stdin=True, sessions=(first,), log="none")
    process = await driver.start(birth)
    other, second = session(stdin=True)
    await process.attach(second)
    other.sendall(b"\n")
    page = Path(driver._root, birth.id, rundir.SESSIONS)
    monitor = monitor_pid(driver, birth.id)
    while not waits_with_bytes_in_hand(monitor, page):
        pass
    kill(monitor)
    taken = 0
    while data := await asyncio.to_thread(slow.recv, 65536):
        taken += len(data)
    assert 0 < taken < 400000 * 7
    other.sendall(b"\n")
    assert (await process.wait()).code == 0
    slow.close()
    other.close()
    await driver.forget(birth.id)


async def test_a_killed_keeper_is_replaced_and_told_all(driver, boxes, tmp_path):
    client, first = session(stdin=True, stdout=True, framed=False)
    birth = boxes.birth("sh", terminal=True, open_stdin=True, sessions=(first,))
    process = await driver.start(birth)
    before, nursery = await keeper_when_ready(driver, tmp_path / "exec"), driver._monitors.nursery.pid
    kill(before)
    while not await kept(driver, birth.id):
        pass
    assert keeper_of(tmp_path / "exec") not in (None, before)
    assert driver._monitors.nursery.pid != nursery
    kill(monitor_pid(driver, birth.id))
    client.sendall(b"echo $((40+2))\n")
    await asyncio.to_thread(hear, client, b"\r\n42\r\n")
    after = boxes.birth("true")
    assert (await (await driver.start(after)).wait()).code == 0
    await driver.forget(after.id)
    await end(driver, process)
    client.close()


async def test_nonsense_costs_only_the_connection_it_comes_on(driver, boxes, tmp_path):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    for nonsense in (b"x", b"P" * 100, keeping.packets([keeping.Record(keeping.SPAWN)])[0][0], os.urandom(1000)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger, rundir.opened(tmp_path / "exec") as root:
            stranger.connect(rundir.socket_path(root, "keeper.sock"))
            stranger.settimeout(20)
            stranger.send(nonsense)
            stranger.recv(1000)
    assert len(await kept(driver, birth.id)) == 1
    await end(driver, process)


async def test_it_tells_why_no_nursery_can_be_started(driver):
    null = os.open("/dev/null", os.O_RDWR)
    with pytest.raises(KeeperFailed, match="No such file"):
        await driver._monitors.keeper.spawn(["/nonexistent"], (null, null))
    os.close(null)


def test_it_imports_next_to_nothing():
    code = f"import sys; sys.path.append({package_path()!r}); import wherry.monitor.keeper; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.fixture
def interpreter():
    """How much is private to an interpreter that does nothing, in KiB."""
    code = "print(open('/proc/self/smaps_rollup').read())"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return private_kilobytes(done.stdout)


async def test_it_costs_little_more_than_an_interpreter(driver, tmp_path, interpreter):
    pid = await keeper_when_ready(driver, tmp_path / "exec")
    assert private_kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text()) < interpreter + 1024


def private_kilobytes(rolled):
    return sum(map(int, re.findall(r"Private_Dirty:\s+(\d+)", rolled)))
