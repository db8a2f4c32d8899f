"""Processes by descriptor, their namespaces, credentials, limits, signals and terminals."""

import errno
import os
import resource
import select
import signal
import socket
import threading
from pathlib import Path

import pytest

from wherry.linux import (
    credentials,
    handles,
    inotify,
    keyring,
    limits,
    loop,
    namespaces,
    netdevice,
    personality,
    prctl,
    process,
    signals,
    terminal,
    uts,
)

pytestmark = pytest.mark.alone


def in_child(function, flags=0):
    """Run something in a child; what it returns comes back."""
    reading, writing = os.pipe()
    pid, pidfd = process.clone3(flags)
    if pid == 0:
        code = 1
        try:
            os.write(writing, repr(function()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    data = os.read(reading, 65536)
    os.close(reading)
    found = process.wait(pidfd)
    os.close(pidfd)
    assert found.code == 0
    return data.decode()


def test_a_child_in_new_namespaces_is_pid_1():
    assert in_child(os.getpid, namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNS) == "1"


def test_an_exit_code_and_a_signal_are_told_apart():
    for action, code in ((lambda: os._exit(7), 7), (lambda: os.kill(os.getpid(), signal.SIGKILL), 137)):
        pid, pidfd = process.clone3()
        if pid == 0:
            action()
            os._exit(0)
        assert process.pidfd_pid(pidfd) == pid
        assert process.wait(pidfd) == process.Exit(pid, code)
        with pytest.raises(ChildProcessError):
            process.wait(pidfd)
        with pytest.raises(ProcessLookupError):
            process.pidfd_send_signal(pidfd, 0)
        with pytest.raises(ProcessLookupError):
            process.pidfd_pid(pidfd)
        os.close(pidfd)


def test_threads_that_want_the_interpreter_do_not_stop_a_child():
    over = threading.Event()

    def want():
        while not over.is_set():
            pass

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        # What takes the kernel long leaves a thread the time to ask.
        flags = namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNS | namespaces.CLONE_NEWNET | namespaces.CLONE_NEWIPC
        assert {in_child(os.getpid, flags) for _ in range(50)} == {"1"}
        with pytest.raises(OSError, match="clone3"):
            process.clone3(namespaces.CLONE_NEWUSER | 0x200)  # CLONE_FS
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_living_child_is_not_waited_for_without_blocking():
    pid, pidfd = process.clone3()
    if pid == 0:
        signal.pause()
    assert process.wait(pidfd, block=False) is None
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert process.wait(pidfd).code == 137
    os.close(pidfd)


def test_a_process_is_found_again_by_its_handle_and_never_another():
    pid, pidfd = process.clone3()
    if pid == 0:
        signal.pause()
    try:
        handle = handles.process_handle(pidfd)
        again = handles.open_process(*handle)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EBADF):
            raise
        again = None
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait(pidfd)
    os.close(pidfd)
    if again is None:
        pytest.skip("this kernel's pidfs has no file handles")
    os.close(again)
    with pytest.raises(OSError) as caught:
        handles.open_process(*handle)
    assert caught.value.errno == errno.ESTALE


def test_descriptors_are_closed_or_marked_in_a_range():
    def close():
        fds = [os.dup(0) for _ in range(4)]
        process.close_range(fds[0], fds[1])
        process.close_range(fds[2], fds[3], cloexec=True)
        return [os.path.exists(f"/proc/self/fd/{fd}") for fd in fds], os.get_inheritable(fds[2])

    assert in_child(close) == "([False, False, True, True], False)"


def test_namespaces_that_differ_are_named():
    def differing():
        namespaces.unshare(namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC)
        return namespaces.describe(namespaces.differing(os.getppid()))

    assert in_child(differing) == "'ipc,uts'"
    assert namespaces.differing(os.getpid()) == 0
    with pytest.raises(OSError, match="setns uts"):
        namespaces.setns(0, namespaces.CLONE_NEWUTS)


def test_names_are_set_in_a_namespace():
    def names():
        uts.set_hostname("box")
        uts.set_domainname("harbour")
        return os.uname().nodename

    assert in_child(names, namespaces.CLONE_NEWUTS) == "'box'"


def test_an_interface_is_switched_on():
    def up():
        netdevice.set_up("lo")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(("127.0.0.1", 9))
            return line.getsockname()[0]

    assert in_child(up, namespaces.CLONE_NEWNET) == "'127.0.0.1'"
    with pytest.raises(OSError):
        netdevice.set_up("nonesuch0")


def test_ids_are_taken_on_and_cannot_be_taken_back():
    def become():
        credentials.set_groups([5, 6])
        credentials.set_gid(7)
        credentials.set_uid(8)
        try:
            credentials.set_uid(0)
        except PermissionError:
            return os.getresuid(), os.getresgid(), os.getgroups()
        return None

    assert in_child(become) == "((8, 8, 8), (7, 7, 7), [5, 6])"


def test_attributes_of_the_process_are_set():
    def attributes():
        prctl.set_dumpable(on=False)
        prctl.set_no_new_privileges()
        prctl.set_name(b"a-name-that-is-too-long")
        prctl.set_child_subreaper(on=True)
        prctl.set_parent_death_signal(signal.SIGKILL)
        prctl.set_keep_capabilities(on=True)
        personality.set_domain("LINUX32")
        return prctl.is_dumpable(), prctl.prctl(39), prctl.prctl(7)

    assert in_child(attributes) == "(False, 1, 1)"


def test_limits_are_set_by_number_and_refused_beyond():
    def limit():
        limits.set_limit(0, limits.NUMBERS["RLIMIT_NOFILE"], soft=50, hard=60)
        limits.set_limit(0, limits.NUMBERS["RLIMIT_CORE"], soft=0, hard=0)
        return resource.getrlimit(resource.RLIMIT_NOFILE)

    assert in_child(limit) == "(50, 60)"
    with pytest.raises(OSError):
        limits.set_limit(0, limits.NUMBERS["RLIMIT_NOFILE"], soft=60, hard=50)


def test_a_session_keyring_is_joined_by_name():
    def join():
        try:
            key = keyring.join_session("wherry-test")
        except OSError as error:
            return error.errno
        keyring.set_permissions(key, keyring.permissions(key) | 0x80000)
        return keyring.permissions(key) & 0x80000, keyring.join_session("wherry-test")

    found = in_child(join)
    if found == str(errno.ENOSYS):
        pytest.skip("this kernel has no keyrings")
    assert found == f"({0x80000}, 0)"


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("sigkill", 9), ("2", 2), ("RTMIN+1", 35)])
def test_signals_have_names(name, number):
    assert signals.number_of(name) == number


@pytest.mark.parametrize("name", ["", "FOO", "0", "65", "-9", "RTMIN+x"])
def test_what_is_no_signal_is_refused(name):
    with pytest.raises(ValueError, match=r"signal|invalid literal"):
        signals.number_of(name)


def test_signals_come_as_events():
    def receive():
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1,))
        fd = signals.open_signalfd((signal.SIGUSR1,))
        before = signals.read_signalfd(fd)
        os.kill(os.getpid(), signal.SIGUSR1)
        return before, signals.read_signalfd(fd)

    assert in_child(receive) == "([], [10])"


def test_a_program_gets_the_dispositions_it_expects():
    def reset():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        signals.reset()
        rows = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
        lines = {row[0]: row[1] for row in rows if row[0].startswith("Sig")}
        return lines["SigIgn:"], lines["SigBlk:"]

    assert in_child(reset) == "('0000000000000000', '0000000000000000')"


def test_a_terminal_has_a_size_and_its_other_end_is_opened_by_descriptor():
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    terminal.unlock(master)
    peer = terminal.open_peer(master)
    terminal.set_size(master, height=12, width=34)
    assert terminal.size(peer) == (12, 34)
    assert os.fstat(peer).st_rdev == os.makedev(136, terminal.number(master))

    def control():
        os.setsid()
        terminal.set_controlling(peer)
        return os.close(os.open("/dev/tty", os.O_RDWR))

    assert in_child(control) == "None"
    os.close(peer)
    os.close(master)


def test_changes_of_files_are_told(tmp_path):
    fd = inotify.open_inotify()
    watch = inotify.add_watch(fd, str(tmp_path), inotify.IN_CREATE | inotify.IN_DELETE)
    assert inotify.read_events(fd) == []
    (tmp_path / "made").write_text("")
    (tmp_path / "made").unlink()
    assert select.select([fd], [], [], 10)[0]
    created, deleted = inotify.read_events(fd)
    assert (created.watch, created.mask, created.name) == (watch, inotify.IN_CREATE, b"made")
    assert deleted.mask == inotify.IN_DELETE
    inotify.remove_watch(fd, watch)
    os.close(fd)
    with pytest.raises(OSError, match="inotify_add_watch"):
        inotify.add_watch(0, "/", inotify.IN_CREATE)


def test_a_file_becomes_a_block_device(tmp_path):
    with (tmp_path / "disk").open("w+b") as file:
        file.truncate(1 << 20)
        file.write(b"first bytes")
        file.flush()
        path, device = loop.attach(file.fileno())
        try:
            assert os.pread(device, 11, 0) == b"first bytes"
            assert path.startswith("/dev/loop")
        finally:
            loop.detach(device)
            os.close(device)
