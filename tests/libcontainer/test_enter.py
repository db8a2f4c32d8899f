"""Further processes in a running container: where they are, what they hold, what can be seen of them."""

import os
import select

import pytest

from wherry.libcontainer.birth import BirthError, Stdio
from wherry.libcontainer.enter import enter
from wherry.linux import process
from wherry.oci.runtime import Capabilities, IdMapping, Process, Rlimit, User

pytestmark = pytest.mark.usefixtures("nothing_left")

MAP = (IdMapping(container_id=0, host_id=100000, size=65536),)
USER = {
    "namespaces": ("pid", "network", "mount", "ipc", "uts", "user"),
    "linux": {"uid_mappings": MAP, "gid_mappings": MAP},
}


@pytest.fixture
def sleeping(cellar):
    spec = cellar.spec("sleep", "1000", hostname="box")
    return cellar.start(spec), spec


def test_it_is_in_every_namespace_of_the_container(cellar, sleeping):
    child, spec = sleeping
    result = cellar.enter(child, spec, "sh", "-c", "hostname; ps; exit 9")
    assert result.code == 9
    assert result.lines[0] == "box"
    assert "    1 root     sleep 1000" in result.lines
    kinds = ("mnt", "pid", "net", "ipc", "uts")
    theirs = [os.readlink(f"/proc/{child.pid}/ns/{kind}") for kind in kinds]
    assert [cellar.enter(child, spec, "readlink", f"/proc/self/ns/{kind}").out.strip() for kind in kinds] == theirs


def test_it_has_the_capabilities_that_were_said_and_nothing_open(cellar, sleeping):
    child, spec = sleeping
    result = cellar.enter(child, spec, "sh", "-c", "grep ^Cap /proc/self/status; ls /proc/self/fd")
    assert [line.split()[1] for line in result.lines[:5]] == [
        "0000000000000000",
        *["00000000a80425fb"] * 3,
        "0000000000000000",
    ]
    assert result.lines[5:8] == ["0", "1", "2"]
    assert len(result.lines) == 9


def test_it_is_the_user_that_was_said(cellar, sleeping):
    child, spec = sleeping
    user = User(uid=1000, gid=1001, additional_gids=(7,), umask=0o077)
    result = cellar.enter(child, spec, "sh", "-c", "id; umask; echo $HOME", user=user)
    assert result.lines == ["uid=1000(sailor) gid=1001 groups=7", "0077", "/home/sailor"]


def test_its_directory_environment_and_limits_are_its_own(cellar, sleeping):
    child, spec = sleeping
    limits = (Rlimit(type="RLIMIT_NOFILE", soft=50, hard=60),)
    script = "pwd; echo $A; ulimit -n; grep NoNew /proc/self/status"
    changes = {"cwd": "/tmp", "env": ("PATH=/bin", "A=b"), "rlimits": limits, "no_new_privileges": True}
    assert cellar.enter(child, spec, "sh", "-c", script, **changes).lines == ["/tmp", "b", "50", "NoNewPrivs:\t1"]


def test_its_terminal_is_one_of_the_container_s(cellar, sleeping):
    child, spec = sleeping
    said = Process(
        cwd="/", args=("sh", "-c", "tty; sleep 0 </dev/tty && echo controlling"), env=("PATH=/bin",), terminal=True
    )
    one = enter(child.pidfd, spec, said, Stdio(stdin=0, stdout=1, stderr=2), cgroup=None)
    data = b""
    try:
        while select.select([one.terminal], [], [], 20)[0] and (more := os.read(one.terminal, 4096)):
            data += more
    except OSError:
        pass
    assert data.decode().split() == ["/dev/pts/0", "controlling"]
    assert process.wait(one.pidfd).code == 0
    os.close(one.pidfd)
    os.close(one.terminal)


def test_it_joins_mapped_ids(cellar):
    spec = cellar.spec("sleep", "1000", **USER)
    child = cellar.start(spec)
    limits = (Rlimit(type="RLIMIT_NOFILE", soft=50, hard=60),)
    result = cellar.enter(child, spec, "sh", "-c", "id -u; cat /proc/self/uid_map; ulimit -n", rlimits=limits)
    assert result.out.split() == ["0", "0", "100000", "65536", "50"]


@pytest.mark.parametrize(
    ("command", "message", "code"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH', 127),
        ("/etc", 'exec: "/etc": is a directory: permission denied', 126),
    ],
)
def test_a_program_that_cannot_run_is_told(cellar, sleeping, command, message, code):
    child, spec = sleeping
    with pytest.raises(BirthError) as caught:
        cellar.enter(child, spec, command)
    assert (str(caught.value), caught.value.exit_code) == (message, code)


def test_a_working_directory_that_is_not_there_is_told(cellar, sleeping):
    child, spec = sleeping
    with pytest.raises(
        BirthError, match=r'chdir to cwd \("/none"\) set in config.json failed: no such file or directory'
    ):
        cellar.enter(child, spec, "true", cwd="/none")


def test_a_dead_container_cannot_be_entered(cellar):
    spec = cellar.spec("true")
    child = cellar.start(spec)
    select.select([child.pidfd], [], [], 20)
    with pytest.raises(BirthError):
        cellar.enter(child, spec, "true")


def test_no_process_with_more_than_the_container_holds_is_ever_seen_inside(cellar):
    """A root process inside looks at every new process as fast as it can, while others enter (CVE-2016-9962)."""
    script = """
    while :; do
        for pid in /proc/[0-9]*; do
            case $pid in /proc/1|/proc/$$) continue;; esac
            read -r line < $pid/cmdline && case $line in *python*) echo "seen $line";; esac
            ls -l $pid/exe 2>/dev/null | grep python
            cat $pid/environ 2>/dev/null | grep VIRTUAL
        done
    done > /root/seen 2>/dev/null
    """
    spec = cellar.spec("sh", "-c", script)
    child = cellar.start(spec)
    for _ in range(100):
        assert cellar.enter(child, spec, "true").code == 0
    seen = (cellar.rootfs / "root/seen").read_text()
    assert "python" not in seen.replace("wherry", "")


def test_a_filter_is_on_also_without_no_new_privileges(cellar, sleeping):
    seccomp = pytest.importorskip("wherry.libcontainer.seccomp")
    from wherry.oci.runtime import Seccomp, SeccompRule

    profile = Seccomp(
        default_action="SCMP_ACT_ALLOW",
        syscalls=(SeccompRule(names=("mkdir", "clone3"), action="SCMP_ACT_ERRNO", errno_ret=38),),
    )
    program = seccomp.compile_program(profile)
    child, spec = sleeping
    for no_new_privileges in (False, True):
        result = cellar.enter(
            child, spec, "sh", "-c", "mkdir /made; grep Seccomp: /proc/self/status",
            seccomp_program=program, no_new_privileges=no_new_privileges,
            capabilities=Capabilities(), user=User(uid=5, gid=5),
        )  # fmt: skip
        assert "Function not implemented" in result.err
        assert result.out.split() == ["Seccomp:", "2"]
    result = cellar.run("sh", "-c", "mkdir /made; grep Seccomp: /proc/self/status", plan={"seccomp_program": program})
    assert "Function not implemented" in result.err
