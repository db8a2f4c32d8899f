"""The library in asyncio: what its twin does, and cancellation."""

import asyncio

import pytest

import wherry

SLEEP = ["sleep", "1000"]


async def test_a_command_its_input_and_its_exit_code(aclient):
    done = await aclient.call("busybox", ["sh", "-c", "cat; echo err >&2"], input=b"in")
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"in", b"err\n")
    with pytest.raises(wherry.ContainerError):
        await aclient.call("busybox", "false")
    with pytest.raises(wherry.TimedOut):
        await aclient.call("busybox", SLEEP, timeout=0.2)
    assert await aclient.containers.list(all=True) == ()


async def test_many_at_once(aclient):
    async def one(number):
        async with await aclient.run("busybox", SLEEP) as container:
            return (await container.exec(f"echo {number}")).text

    assert await asyncio.gather(*map(one, range(8))) == [f"{number}\n" for number in range(8)]
    assert await aclient.containers.list(all=True) == ()


async def test_cancelling_a_call_removes_its_container(aclient):
    calling = asyncio.create_task(aclient.call("busybox", SLEEP, name="cancelled"))
    async with await aclient.events(filters={"event": "start"}, since=0) as events:
        async for event in events:
            if event.actor.attributes["name"] == "cancelled":
                break
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await aclient.containers.list(all=True) == ()


async def test_logs_are_followed_and_the_stream_is_left(aclient):
    words = ["sh", "-c", "echo one; echo two >&2; sleep 1000"]
    async with await aclient.run("busybox", words) as container, await container.follow() as stream:
        lines = stream.lines()
        assert {await anext(lines), await anext(lines)} == {wherry.Line("stdout", "one"), wherry.Line("stderr", "two")}
        reading = asyncio.ensure_future(anext(lines, None))
        await asyncio.sleep(0)
        await stream.close()
        assert await reading is None


async def test_a_session_on_a_terminal(aclient):
    container = await aclient.run("busybox", SLEEP)
    async with container, await container.exec_session("sh", tty=True) as shell:
        await shell.read_until(b"# ")
        await shell.write(b"exit 7\n")
        await shell.read()
        assert await shell.exit_code() == 7


async def test_a_web_server_is_waited_for(aclient):
    serve = ["sh", "-c", "echo hello > /index.html; exec httpd -f -h /"]
    async with await aclient.run("busybox", serve, ports={80: 0}) as web:
        await web.wait_ready(http="/index.html")
        assert (await web.url()).startswith("http://127.0.0.1:")
