"""Containers by the native driver: born, logged, executed in, frozen, ended, forgotten."""

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import msgspec
import pytest

from wherry.drivers.driver import ExecBirth, ExitStatus, ProcessGone, StartFailed
from wherry.drivers.native import NativeDriver
from wherry.libcontainer import cgroups
from wherry.linux import mount
from wherry.model.errors import EngineError, Unsupported
from wherry.oci.runtime import Memory, Process, Resources, Rlimit, Seccomp, SeccompRule, User


def exec_of(*args, exec_id="one", **more):
    process = Process(cwd="/", args=args, env=("PATH=/bin",), terminal=more.pop("terminal", False))
    return ExecBirth(id=exec_id, process=process, **more)


async def test_a_program_runs_and_its_output_is_logged(driver, boxes):
    birth = boxes.birth("sh", "-c", "echo hello; echo oops >&2; hostname; exit 7")
    process = await driver.start(birth)
    assert (await process.wait()).code == 7
    assert boxes.text(birth.id, "stdout") == "hello\nbox\n"
    assert boxes.text(birth.id, "stderr") == "oops\n"
    await driver.forget(birth.id)


async def test_the_status_says_which_signal_killed_it_and_when(driver, boxes):
    birth = boxes.birth("sh", "-c", "kill -9 $$; sleep 1000 & wait", namespaces=("network", "mount", "ipc", "uts"))
    process = await driver.start(birth)
    status = await process.wait()
    assert status.code == 137
    assert status.finished_ns >= process.started_ns > 0
    await driver.forget(birth.id)


async def test_a_program_that_is_not_there_fails_with_127_and_leaves_nothing(driver, boxes, tmp_path):
    birth = boxes.birth("nosuch")
    with pytest.raises(StartFailed, match='exec: "nosuch": executable file not found in \\$PATH') as caught:
        await driver.start(birth)
    assert caught.value.exit_code == 127
    assert not list((tmp_path / "exec/containers").iterdir())


async def test_a_limit_that_no_cgroup_can_have_fails_with_128_and_leaves_nothing(driver, boxes, tmp_path):
    birth = boxes.birth("true", resources=Resources(memory=Memory(kernel=1 << 20)))
    with pytest.raises(StartFailed, match="kernel memory limits are not supported") as caught:
        await driver.start(birth)
    assert caught.value.exit_code == 128
    assert not list((tmp_path / "exec/containers").iterdir())
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{birth.id}"))


async def test_a_cgroup_that_is_in_use_is_refused_and_left_alone(driver, boxes):
    birth = boxes.birth("true")
    cgroup = cgroups.create(birth.spec.linux.cgroups_path, birth.id)
    other = await asyncio.create_subprocess_exec("sleep", "1000")
    cgroup.add(other.pid)
    with pytest.raises(StartFailed, match=r"container's cgroup is not empty: 1 process\(es\) found"):
        await driver.start(birth)
    assert cgroup.pids() == [other.pid]
    other.kill()
    await other.wait()
    cgroup.remove()
    cgroup.close()


async def test_a_file_that_cannot_be_executed_fails_with_126(driver, boxes):
    with pytest.raises(StartFailed) as caught:
        await driver.start(boxes.birth("/etc"))
    assert caught.value.exit_code == 126


async def test_other_log_drivers_are_refused_by_name(driver, boxes):
    with pytest.raises(Unsupported, match="syslog"):
        await driver.start(boxes.birth("true", log="syslog"))


async def test_the_container_sees_no_descriptor_of_ours(driver, boxes):
    pipes = [os.pipe() for _ in range(3)]
    held = tuple(fd for pipe in pipes for fd in pipe)
    birth = boxes.birth("sh", "-c", "ls /proc/self/fd", held_fds=held)
    process = await driver.start(birth)
    await process.wait()
    assert boxes.text(birth.id).split() == ["0", "1", "2", "3"]  # 3 is what ls reads the directory by
    await driver.forget(birth.id)


async def test_held_descriptors_live_as_long_as_the_container(driver, boxes):
    reading, writing = os.pipe()
    birth = boxes.birth("sleep", "1000", held_fds=(writing,))
    process = await driver.start(birth)
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    await process.signal(signal.SIGKILL)
    await process.wait()
    os.set_blocking(reading, True)
    assert await asyncio.to_thread(os.read, reading, 1) == b""
    os.close(reading)
    await driver.forget(birth.id)


async def test_thousands_of_held_descriptors_travel_too(driver, boxes):
    null = os.open("/dev/null", os.O_RDONLY)
    held = tuple(os.dup(null) for _ in range(600))
    os.close(null)
    birth = boxes.birth("true", held_fds=held, env=tuple(f"V{number}={'x' * 1000}" for number in range(100)))
    process = await driver.start(birth)
    assert (await process.wait()).code == 0
    await driver.forget(birth.id)


async def test_containers_get_the_limits_of_files_that_the_daemon_had(tmp_path, boxes):
    driver = NativeDriver(str(tmp_path / "exec"), nofile=(321, 654))
    await driver.open()
    plain = boxes.birth("sh", "-c", "ulimit -Sn; ulimit -Hn")
    asked = boxes.birth("sh", "-c", "ulimit -Sn; ulimit -Hn", rlimits=(Rlimit(type="RLIMIT_NOFILE", soft=11, hard=22),))
    for birth in (plain, asked):
        await (await driver.start(birth)).wait()
    assert boxes.text(plain.id) == "321\n654\n"
    assert boxes.text(asked.id) == "11\n22\n"
    await driver.close()


async def test_a_user_who_is_not_root_can_open_its_stdout_again(driver, boxes):
    birth = boxes.birth("sh", "-c", "echo again > /proc/self/fd/1", user=User(uid=1000, gid=1000))
    await (await driver.start(birth)).wait()
    assert boxes.text(birth.id) == "again\n"
    await driver.forget(birth.id)


async def test_a_filter_is_compiled_and_installed(driver, boxes):
    birth = boxes.birth("sh", "-c", "mkdir /tmp/x; grep Seccomp: /proc/self/status")
    rule = SeccompRule(names=("mkdir", "mkdirat"), action="SCMP_ACT_ERRNO", errno_ret=1)
    profile = Seccomp(default_action="SCMP_ACT_ALLOW", architectures=("SCMP_ARCH_X86_64",), syscalls=(rule,))
    linux = msgspec.structs.replace(birth.spec.linux, seccomp=profile)
    spec = msgspec.structs.replace(birth.spec, linux=linux)
    birth = type(birth)(**{name: getattr(birth, name) for name in birth.__dataclass_fields__} | {"spec": spec})
    await (await driver.start(birth)).wait()
    assert "not permitted" in boxes.text(birth.id, "stderr")
    assert boxes.text(birth.id, "stdout").split() == ["Seccomp:", "2"]
    await driver.forget(birth.id)


async def test_an_exec_runs_beside_and_reports_its_own_status(driver, boxes, connect):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    client, session = connect(stdout=True, stderr=True)
    running = await process.exec(exec_of("sh", "-c", "echo out; echo err >&2; ps; exit 5", session=session))
    output = await client.receive_all()
    assert (await running.wait()).code == 5
    assert output.startswith((b"\x01\0\0\0", b"\x02\0\0\0"))
    assert b"out\n" in output
    assert b"\x02\0\0\0\0\0\0\x04err\n" in output
    assert b"sleep 1000" in output
    with pytest.raises(StartFailed) as caught:
        await process.exec(exec_of("nosuch", exec_id="two"))
    assert caught.value.exit_code == 127
    await process.signal(signal.SIGKILL)
    await process.wait()
    await driver.forget(birth.id)


async def test_an_exec_reads_its_input_to_the_end(driver, boxes, connect):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    client, session = connect(stdin=True, stdout=True, framed=False)
    running = await process.exec(exec_of("sha256sum", session=session, open_stdin=True))
    await client.send(b"x" * 3_000_000)
    client.half_close()
    assert (await client.receive_all()).startswith(hashlib.sha256(b"x" * 3_000_000).hexdigest().encode())
    assert (await running.wait()).code == 0
    await process.signal(signal.SIGKILL)
    await process.wait()
    await driver.forget(birth.id)


async def test_execs_die_with_the_container_by_137(driver, boxes):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    running = await process.exec(exec_of("sleep", "1000"))
    assert sorted(await process.pids()) == sorted([process.pid, running.pid])
    await process.signal(signal.SIGKILL)
    assert (await running.wait()).code == 137
    assert (await process.wait()).code == 137
    await driver.forget(birth.id)


async def test_a_frozen_container_stands_still_and_can_be_killed(driver, boxes):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    await process.pause()
    await process.resume()
    await process.pause()
    await process.signal(signal.SIGKILL)
    assert (await process.wait()).code == 137
    await driver.forget(birth.id)


async def test_what_shares_the_hosts_pids_dies_with_the_first_process(driver, boxes):
    birth = boxes.birth("sh", "-c", "sleep 1000 & echo $!; exit 3", namespaces=("network", "mount", "ipc", "uts"))
    process = await driver.start(birth)
    assert (await process.wait()).code == 3
    assert not os.path.exists(f"/proc/{boxes.text(birth.id).strip()}")
    await driver.forget(birth.id)


async def test_it_is_known_that_memory_ran_out(driver, boxes):
    limit = Resources(memory=Memory(limit=8 << 20, swap=8 << 20))
    birth = boxes.birth("sh", "-c", "x=$(yes | head -c 60000000); echo done", resources=limit)
    process = await driver.start(birth)
    status = await process.wait()
    assert status.oom_killed
    assert status.code == 137
    await driver.forget(birth.id)


async def test_the_dead_do_nothing(driver, boxes):
    birth = boxes.birth("true")
    process = await driver.start(birth)
    await process.wait()
    with pytest.raises(ProcessGone):
        await process.signal(signal.SIGTERM)
    with pytest.raises(ProcessGone):
        await process.exec(exec_of("true"))
    await driver.forget(birth.id)


async def test_the_dead_are_remembered_until_they_are_forgotten(driver, boxes):
    birth = boxes.birth("sh", "-c", "exit 9")
    status = await (await driver.start(birth)).wait()
    assert await driver.adopt(birth.id) == status
    await driver.forget(birth.id)
    assert await driver.adopt(birth.id) is None
    await driver.forget(birth.id)
    assert isinstance(status, ExitStatus)


async def test_nothing_is_written_for_the_driver_none(driver, boxes):
    birth = boxes.birth("echo", "hello", log="none")
    await (await driver.start(birth)).wait()
    assert not list(boxes.logs.iterdir())
    await driver.forget(birth.id)


async def test_a_log_is_rotated_between_lines(driver, boxes):
    birth = boxes.birth("seq", "1", "5000", bytes_max=10000, files_max=100)
    await (await driver.start(birth)).wait()
    sizes = sorted(path.stat().st_size for path in boxes.logs.iterdir())[1:]
    assert all(10000 <= size < 10100 for size in sizes)
    numbers = [record["log"] for path in boxes.logs.iterdir() for record in records(path)]
    assert sorted(int(number) for number in numbers) == list(range(1, 5001))
    await driver.forget(birth.id)


def records(path):
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


async def test_two_start_at_once(driver, boxes):
    births = [boxes.birth("echo", str(number)) for number in range(8)]
    processes = await asyncio.gather(*(driver.start(birth) for birth in births))
    await asyncio.gather(*(process.wait() for process in processes))
    assert [boxes.text(birth.id) for birth in births] == [f"{number}\n" for number in range(8)]
    for birth in births:
        await driver.forget(birth.id)


async def test_a_paused_container_takes_no_exec(driver, boxes):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    await process.pause()
    with pytest.raises(EngineError, match="is paused"):
        await process.exec(exec_of("true"))
    await process.signal(signal.SIGKILL)
    await process.wait()
    await driver.forget(birth.id)


async def test_a_full_disk_costs_lines_but_not_the_container(driver, boxes, tmp_path, caplog):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount.mount("tmpfs", str(disk), "tmpfs", 0, "size=64k")
    try:
        boxes.logs = disk
        birth = boxes.birth("sh", "-c", "seq 1 20000; exit 5")
        process = await driver.start(birth)
        assert (await process.wait()).code == 5
        assert "No space left on device" in caplog.text
        lines = boxes.text(birth.id).splitlines()
        assert lines == [str(number) for number in range(1, len(lines) + 1)]
        await driver.forget(birth.id)
    finally:
        mount.umount2(str(disk), mount.MNT_DETACH)


async def test_without_a_directory_for_its_log_nothing_starts(driver, boxes, tmp_path):
    boxes.logs = tmp_path / "nowhere"
    with pytest.raises(EngineError, match="failed to initialize logging driver"):
        await driver.start(boxes.birth("true"))
    assert not list((tmp_path / "exec/containers").iterdir())


async def test_nobody_else_reaches_a_monitor(driver, boxes, tmp_path):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    directory = tmp_path / "exec/containers" / birth.id
    assert directory.stat().st_mode & 0o777 == 0o700
    assert "wherry" not in "".join(line for line in Path("/proc/net/unix").read_text().splitlines() if "@" in line)
    monitor = msgspec.json.decode((directory / "alive.json").read_bytes())["monitor_pid"]
    assert Path(f"/proc/{monitor}/comm").read_text() == "wherry-mon\n"
    assert birth.id in Path(f"/proc/{monitor}/cmdline").read_text()
    await process.signal(signal.SIGKILL)
    await process.wait()
    await driver.forget(birth.id)
