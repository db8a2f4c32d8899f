"""Attached clients: what they get, what they say, how they leave, and what a slow one does."""

import asyncio
import os
import signal
import socket

import msgspec
import pytest

from wherry.drivers.driver import ProcessGone, Session


async def stop(driver, birth, process):
    await process.signal(signal.SIGKILL)
    await process.wait()
    await driver.forget(birth.id)


async def test_a_client_from_the_birth_on_misses_nothing(driver, boxes, connect):
    client, session = connect(stdout=True, stderr=True)
    birth = boxes.birth("sh", "-c", "echo first; echo second >&2", sessions=(session,))
    process = await driver.start(birth)
    output = await client.receive_all()
    assert b"\x01\0\0\0\0\0\0\x06first\n" in output
    assert b"\x02\0\0\0\0\0\0\x07second\n" in output
    assert len(output) == 29
    await process.wait()
    await driver.forget(birth.id)


async def test_only_the_streams_that_were_asked_for_are_sent(driver, boxes, connect):
    client, session = connect(stderr=True, framed=False)
    birth = boxes.birth("sh", "-c", "echo first; echo second >&2", sessions=(session,))
    process = await driver.start(birth)
    assert await client.receive_all() == b"second\n"
    await process.wait()
    await driver.forget(birth.id)


async def test_the_end_of_input_closes_stdin_once(driver, boxes, connect):
    client, session = connect(stdin=True, stdout=True, framed=False)
    birth = boxes.birth("cat", open_stdin=True, stdin_once=True, sessions=(session,))
    process = await driver.start(birth)
    await client.send(b"some words")
    assert await client.receive_until(b"words") == b"some words"
    client.half_close()
    assert await client.receive_all() == b""
    assert (await process.wait()).code == 0
    await driver.forget(birth.id)


async def test_megabytes_go_in_and_out_unharmed(driver, boxes, connect):
    client, session = connect(stdin=True, stdout=True, framed=False)
    birth = boxes.birth("cat", open_stdin=True, stdin_once=True, sessions=(session,), log="none")
    process = await driver.start(birth)
    data = bytes(range(256)) * 40_000

    async def speak():
        await client.send(data)
        client.half_close()

    _, heard = await asyncio.gather(speak(), client.receive_all())
    assert heard == data
    assert (await process.wait()).code == 0
    await driver.forget(birth.id)


async def test_without_stdin_once_the_next_client_goes_on(driver, boxes, connect):
    client, session = connect(stdin=True, stdout=True, framed=False)
    birth = boxes.birth("cat", open_stdin=True, sessions=(session,))
    process = await driver.start(birth)
    await client.send(b"one\n")
    await client.receive_until(b"one\n")
    client.half_close()
    assert await client.receive_all() == b""  # its session ends, as with dockerd
    client, session = connect(stdin=True, stdout=True, framed=False)
    await process.attach(session)
    await client.send(b"two\n")
    await client.receive_until(b"two\n")
    client.close()
    await stop(driver, birth, process)
    assert boxes.text(birth.id) == "one\ntwo\n"


async def test_a_client_that_vanishes_ends_stdin_once_too(driver, boxes, connect):
    client, session = connect(stdin=True, stdout=True, framed=False)
    birth = boxes.birth("cat", open_stdin=True, stdin_once=True, sessions=(session,))
    process = await driver.start(birth)
    await client.send(b"last words\n")
    client.close()
    assert (await process.wait()).code == 0
    assert boxes.text(birth.id) == "last words\n"
    await driver.forget(birth.id)


async def test_a_client_that_only_listens_may_half_close_at_once(driver, boxes, connect):
    client, session = connect(stdout=True, framed=False)
    client.half_close()
    birth = boxes.birth("sh", "-c", "read x; echo $x", open_stdin=True, sessions=(session,))
    process = await driver.start(birth)
    other, session = connect(stdin=True)
    await process.attach(session)
    await other.send(b"hello\n")
    assert await client.receive_all() == b"hello\n"
    await process.wait()
    await driver.forget(birth.id)


async def test_a_client_that_takes_nothing_stops_the_output_and_loses_none(driver, boxes, connect):
    client, session = connect(stdout=True, framed=False)
    birth = boxes.birth("seq", "1", "400000", sessions=(session,), log="none")
    process = await driver.start(birth)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 0.5)
    heard = await client.receive_all()
    assert heard == b"".join(b"%d\n" % number for number in range(1, 400001))
    assert (await process.wait()).code == 0
    await driver.forget(birth.id)


async def test_a_client_that_vanishes_while_it_is_waited_for_stops_nobody(driver, boxes, connect):
    client, session = connect(stdout=True, framed=False)
    birth = boxes.birth("seq", "1", "400000", sessions=(session,), log="none")
    process = await driver.start(birth)
    await client.receive()
    client.close()
    assert (await process.wait()).code == 0
    await driver.forget(birth.id)


async def test_a_tcp_client_is_served_as_well(driver, boxes):
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    birth = boxes.birth("cat", open_stdin=True, stdin_once=True)
    process = await driver.start(birth)
    await process.attach(Session(socket=theirs, stdin=True, stdout=True, framed=False))
    ours.sendall(b"hello")
    ours.shutdown(socket.SHUT_WR)
    assert await asyncio.to_thread(ours.recv, 100) == b"hello"
    assert await asyncio.to_thread(ours.recv, 100) == b""
    ours.close()
    await process.wait()
    await driver.forget(birth.id)


async def test_a_terminal_has_a_size_and_job_control(driver, boxes, connect):
    client, session = connect(stdin=True, stdout=True, framed=False)
    birth = boxes.birth(
        "sh", terminal=True, open_stdin=True, stdin_once=True, sessions=(session,), terminal_size=(24, 80)
    )
    process = await driver.start(birth)
    await client.send(b"stty size; tty\n")
    output = await client.receive_until(b"/dev/pts/0")
    assert b"24 80" in output
    await process.resize(height=50, width=132)
    await client.send(b"stty size\n")
    await client.receive_until(b"50 132")
    await client.send(b"echo READY; cat\n")
    await client.receive_until(b"\r\nREADY\r\n")
    await client.send(b"words\n")
    await client.receive_until(b"words\r\nwords\r\n")
    await client.send(b"\x03")
    await client.receive_until(b"^C\r\n")
    await client.send(b"exit 4\n")
    assert (await process.wait()).code == 4
    assert (await client.receive_all()).endswith(b"exit 4\r\n")
    assert "/dev/pts/0\r\n" in boxes.text(birth.id)
    await driver.forget(birth.id)


async def test_detach_keys_end_the_session_and_not_the_program(driver, boxes, connect):
    client, session = connect(stdin=True, stdout=True, framed=False, detach_keys=b"\x10\x11")
    birth = boxes.birth("cat", terminal=True, open_stdin=True, stdin_once=True, sessions=(session,))
    process = await driver.start(birth)
    await client.send(b"a\x10b\x10")
    await client.send(b"\x11")
    assert b"\x11" not in await client.receive_all()
    client, session = connect(stdin=True, stdout=True, framed=False)
    await process.attach(session)
    await client.send(b"\n")
    await client.receive_until(b"a\x10b")
    await client.send(b"still here\n")
    await client.receive_until(b"still here\r\nstill here\r\n")
    await stop(driver, birth, process)


async def test_a_thousand_clients_leave_nothing_behind(driver, boxes, connect):
    birth = boxes.birth("sleep", "1000")
    process = await driver.start(birth)
    for _ in range(1000):
        client, session = connect(stdin=True, stdout=True)
        await process.attach(session)
        client.close()
    client, session = connect(stdout=True)
    await process.attach(session)
    alive = (await monitor_of(driver, birth.id))["monitor_pid"]
    assert len(os.listdir(f"/proc/{alive}/fd")) < 60
    await stop(driver, birth, process)


async def monitor_of(driver, container_id):
    with open(f"{driver._root}/{container_id}/alive.json", "rb") as file:
        return msgspec.json.decode(file.read())


async def test_who_comes_too_late_is_told(driver, boxes, connect):
    birth = boxes.birth("true")
    process = await driver.start(birth)
    await process.wait()
    client, session = connect(stdout=True)
    with pytest.raises(ProcessGone):
        await process.attach(session)
    assert await client.receive_all() == b""
    await driver.forget(birth.id)
