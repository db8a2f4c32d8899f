"""rsyslogd understands every format that we send it, by every way."""

import asyncio
import contextlib
import shutil
import socket
import time

import pytest

from wherry.logs.driver import Entry
from wherry.logs.subject import Subject
from wherry.logs.syslog import SyslogDriver

RSYSLOGD = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")
SECONDS = 20
CONFIG = """
module(load="imtcp")
module(load="imudp")
module(load="imuxsock" SysSock.Use="off")
input(type="imtcp" port="{port}" address="127.0.0.1")
input(type="imudp" port="{port}" address="127.0.0.1")
input(type="imuxsock" Socket="{root}/socket" UseSpecialParser="off")
template(name="plain" type="string"
  string="%syslogfacility-text%|%syslogseverity-text%|%syslogtag%|%msg:::sp-if-no-1st-sp%%msg%\\n")
action(type="omfile" file="{root}/messages" template="plain")
"""

pytestmark = pytest.mark.skipif(not RSYSLOGD, reason="rsyslog is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def rsyslogd(root):
    port = free_port()
    (root / "config").write_text(CONFIG.format(port=port, root=root))
    process = await asyncio.create_subprocess_exec(
        RSYSLOGD, "-n", "-f", root / "config", "-i", root / "pid", stderr=(root / "errors").open("wb")
    )
    try:
        async with asyncio.timeout(SECONDS):
            while not await answers(port):
                assert process.returncode is None, (root / "errors").read_text()
                await asyncio.sleep(0.02)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def answers(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_rsyslog_reads_what_we_send(tmp_path):
    texts = [b"plain words", b"<14>not a head", b'"quoted" [x]: - {1}']
    async with rsyslogd(tmp_path) as port:
        expected = []
        for way in (f"tcp://127.0.0.1:{port}", f"udp://127.0.0.1:{port}", f"unixgram://{tmp_path}/socket"):
            for form in ("", "rfc3164", "rfc5424", "rfc5424micro"):
                if way.startswith("unixgram") and form == "rfc3164":
                    continue  # on a local socket rsyslog expects no host's name
                name = f"{way.partition(':')[0]}-{form or 'none'}"
                options = {"syslog-address": way, "syslog-format": form, "syslog-facility": "local3", "tag": name}
                sender = SyslogDriver().sender(Subject(id="a" * 64, name="n", options=options, host_name="vm"))
                now = time.time_ns()
                await sender.send([Entry(text=text, stream="stdout", time_ns=now) for text in texts])
                await sender.send([Entry(text=b"wrong", stream="stderr", time_ns=now)])
                await sender.close()
                expected += [("local3", "info", name, text.decode()) for text in texts]
                expected.append(("local3", "err", name, "wrong"))
        deadline = time.monotonic() + SECONDS
        while len(found := read(tmp_path / "messages")) < len(expected):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)
    assert sorted(found) == sorted(expected)


def read(path):
    """Facility, severity, tag without its process, text."""
    lines = path.read_text().splitlines() if path.exists() else []
    fields = [line.split("|", 3) for line in lines]
    return [(facility, severity, tag.partition("[")[0], text.strip()) for facility, severity, tag, text in fields]
