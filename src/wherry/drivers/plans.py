"""A birth as the daemon's word to a monitor: what has to be known for all of a container's life."""

import asyncio
import os

import msgspec

from wherry.drivers.driver import Birth, LogPlan, StartFailed
from wherry.libcontainer.seccomp import compile_program, filter_flags
from wherry.model.errors import Unsupported
from wherry.monitor import messages
from wherry.oci.runtime import Rlimit, Seccomp, Spec

_LOG_DRIVERS = ("json-file", "local", "none")
_PROGRAMS_MAX = 64


class Plans:
    """Makes them. `nofile` are the soft and hard limits of open files where the spec says nothing."""

    def __init__(self, nofile: tuple[int, int] | None) -> None:
        """Remember no filter yet."""
        self._nofile = nofile
        self._programs: dict[Seccomp, tuple[bytes, int]] = {}

    async def plan(self, birth: Birth) -> messages.Plan:
        """See the file. Raises StartFailed, Unsupported."""
        spec = birth.spec
        if birth.log.driver not in _LOG_DRIVERS:
            raise Unsupported(f"log driver {birth.log.driver!r} is not served by the native driver")
        profile = spec.linux.seccomp if spec.linux else None
        program, flags = await self._program(profile) if profile else (b"", 0)
        return messages.Plan(
            id=birth.id,
            spec=self._with_limits(_without_filter(spec)),
            seccomp=program,
            seccomp_flags=flags,
            log=_log_plan(birth.log),
            open_stdin=birth.open_stdin,
            stdin_once=birth.stdin_once,
            terminal_size=birth.terminal_size,
        )

    async def _program(self, profile: Seccomp) -> tuple[bytes, int]:
        """A filter and its flags, compiled once per profile: it takes milliseconds. Raises StartFailed."""
        compiled = self._programs.get(profile)
        if compiled is None:
            try:
                compiled = await asyncio.to_thread(compile_program, profile), filter_flags(profile)
            except ValueError as error:
                raise StartFailed(str(error), 128) from None
            if len(self._programs) >= _PROGRAMS_MAX:
                self._programs.clear()
            self._programs[profile] = compiled
        return compiled

    def _with_limits(self, spec: Spec) -> Spec:
        described = spec.process
        if not self._nofile or not described or any(each.type == "RLIMIT_NOFILE" for each in described.rlimits):
            return spec
        soft, hard = self._nofile
        limit = Rlimit(type="RLIMIT_NOFILE", soft=soft, hard=hard)
        described = msgspec.structs.replace(described, rlimits=(*described.rlimits, limit))
        return msgspec.structs.replace(spec, process=described)


def _without_filter(spec: Spec) -> Spec:
    """The filter goes as a program; its source is the longest part of a spec by far."""
    if not spec.linux or not spec.linux.seccomp:
        return spec
    return msgspec.structs.replace(spec, linux=msgspec.structs.replace(spec.linux, seccomp=None))


def _log_plan(plan: LogPlan) -> messages.LogPlan:
    directory, name = os.path.split(plan.path)
    return messages.LogPlan(
        driver=plan.driver,
        directory=directory,
        name=name,
        bytes_max=plan.bytes_max,
        files_max=plan.files_max,
        compress=plan.compress,
        attributes=dict(plan.attributes),
    )
