"""`exec`: a further process in a running container."""

import contextlib
import os
from typing import Any

import msgspec

from wherry.libcontainer import cgroups, seccomp
from wherry.libcontainer.birth import Child
from wherry.libcontainer.command import console, store
from wherry.libcontainer.command.create import write_pid
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.settings import Settings
from wherry.libcontainer.command.store import Container
from wherry.libcontainer.enter import enter
from wherry.libcontainer.errors import BirthError, reason
from wherry.libcontainer.plan import Stdio
from wherry.oci.runtime import Capabilities, Process, Spec, SpecError, User, parse_process

FLAGS = (
    Flag(("console-socket",), "path to an AF_UNIX socket which will receive the terminal's master", takes_value=True),
    Flag(("cwd",), "current working directory in the container", takes_value=True),
    Flag(("env", "e"), "set environment variables", takes_value=True, repeats=True),
    Flag(("tty", "t"), "allocate a pseudo-TTY"),
    Flag(("user", "u"), "UID (format: <uid>[:<gid>])", takes_value=True),
    Flag(("additional-gids", "g"), "additional gids", takes_value=True, repeats=True),
    Flag(("process", "p"), "path to the process.json", takes_value=True),
    Flag(("detach", "d"), "detach from the container's process"),
    Flag(("pid-file",), "specify the file to write the process id to", takes_value=True),
    Flag(("process-label",), "set the SELinux label of the process", takes_value=True),
    Flag(("apparmor",), "set the apparmor profile for the process", takes_value=True),
    Flag(("no-new-privs",), "set the no new privileges value for the process"),
    Flag(("cap", "c"), "add a capability to the process", takes_value=True, repeats=True),
    Flag(("preserve-fds",), "pass N additional file descriptors to the process", takes_value=True),
    Flag(("cgroup",), "run the process in an existing sub-cgroup", takes_value=True),
    Flag(("ignore-paused",), "allow exec in a paused container"),
)

_FAILED = 255
_STDIO = Stdio(stdin=0, stdout=1, stderr=2)


def execute(settings: Settings, arguments: Arguments) -> int:
    """Execute a program in a container; unless detached stay with it, and give its exit code."""
    try:
        return _execute(settings, arguments)
    except BirthError as error:
        raise CommandError(f"exec failed: unable to start container process: {error}", _FAILED) from None
    except (CommandError, OSError) as error:
        raise CommandError(f"exec failed: {error}", _FAILED) from None


def _execute(settings: Settings, arguments: Arguments) -> int:
    container = store.load(settings.root, arguments.positional[0])
    _check_status(container.status(), arguments)
    spec = container.spec()
    process = _process(spec, arguments)
    socket_path, detached = arguments.value("console-socket"), arguments.has("detach")
    if process.terminal and detached and not socket_path:
        raise CommandError("cannot allocate tty if wherry-runtime will detach without setting console socket")
    if socket_path and not (process.terminal and detached):
        raise CommandError("cannot use console socket if wherry-runtime will not detach or allocate tty")
    in_front = process.terminal and not detached
    if in_front:
        process = msgspec.structs.replace(process, console_size=console.size() or process.console_size)
    with console.signals_as_events() as signal_fd, console.raw() if in_front else contextlib.nullcontext():
        child = _enter(container, spec, process, arguments)
        for warning in child.warnings:
            settings.log.warning(warning)
        if child.terminal is not None and socket_path:
            console.hand_to_socket(socket_path, child.terminal)
        if arguments.value("pid-file"):
            write_pid(arguments.value("pid-file"), child.pid)
        return 0 if detached else console.attend(child.pidfd, child.terminal, signal_fd)


def _check_status(status: str, arguments: Arguments) -> None:
    if status == "stopped":
        raise CommandError("cannot exec a container that has stopped")
    if status == "paused" and not arguments.has("ignore-paused"):
        raise CommandError("cannot exec in a paused container (use --ignore-paused to override)")


def _enter(container: Container, spec: Spec, process: Process, arguments: Arguments) -> Child:
    profile = spec.linux.seccomp if spec.linux else None
    pidfd = container.open_process()
    group = _group(container, arguments.value("cgroup"))
    try:
        return enter(
            pidfd,
            spec,
            process,
            _STDIO,
            cgroup=group,
            seccomp_program=container.seccomp_program(),
            seccomp_flags=seccomp.filter_flags(profile) if profile else 0,
            container_id=container.record.id,
            preserve_fds=arguments.number("preserve-fds") or 0,
        )
    finally:
        os.close(pidfd)
        if group is not None:
            group.close()


def _group(container: Container, below: str) -> cgroups.Cgroup | None:
    if not below:
        return container.open_cgroup()
    if ":" in below:
        raise CommandError(f"--cgroup {below}: a controller cannot be named, the path holds for all")
    try:
        return cgroups.open_existing(f"{container.record.cgroup_path}/{below}")
    except FileNotFoundError:
        raise CommandError(f"no sub-cgroup {below}") from None


def _process(spec: Spec, arguments: Arguments) -> Process:
    path = arguments.value("process")
    if path:
        try:
            with open(path, "rb") as file:
                return parse_process(file.read())
        except SpecError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"open {path}: {reason(error.errno or 0)}") from None
    args = arguments.positional[1:]
    if not args:
        raise CommandError("process args cannot be empty")
    base = spec.process or Process(cwd="/")
    changes: dict[str, Any] = {
        "args": tuple(args),
        "terminal": arguments.has("tty"),
        "console_size": None,
        "env": (*base.env, *arguments.all("env")),
        "cwd": arguments.value("cwd", base.cwd),
        "apparmor_profile": arguments.value("apparmor", base.apparmor_profile),
        "selinux_label": arguments.value("process-label", base.selinux_label),
        "no_new_privileges": base.no_new_privileges or arguments.has("no-new-privs"),
        "user": _user(base.user, arguments),
        "capabilities": _capabilities(base.capabilities, arguments.all("cap")),
    }
    return msgspec.structs.replace(base, **changes)


def _user(base: User, arguments: Arguments) -> User:
    extra = tuple(_id("additional-gids", text) for text in arguments.all("additional-gids"))
    gids = base.additional_gids + extra
    text = arguments.value("user")
    if not text:
        return msgspec.structs.replace(base, additional_gids=gids)
    uid, _, gid = text.partition(":")
    return User(uid=_id("user", uid), gid=_id("user", gid) if gid else base.gid, umask=base.umask, additional_gids=gids)


def _id(flag: str, text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32 - 1:
        raise CommandError(f"parsing {text} as int for --{flag} failed: invalid syntax")
    return int(text)


def _capabilities(base: Capabilities | None, added: list[str]) -> Capabilities | None:
    if not added:
        return base
    base, more = base or Capabilities(), tuple(added)
    return Capabilities(
        bounding=base.bounding + more,
        effective=base.effective + more,
        permitted=base.permitted + more,
        inheritable=base.inheritable,
        ambient=base.ambient,
    )
