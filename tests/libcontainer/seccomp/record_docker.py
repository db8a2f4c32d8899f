"""Writes docker.json: which verdicts the filters of a real dockerd give. Run by hand when Docker's change.

    DOCKER_HOST=unix:///… python tests/libcontainer/seccomp/record_docker.py IMAGE

IMAGE must have /bin/sleep. The filters are read out of running containers by PTRACE_SECCOMP_GET_FILTER.
"""

import ctypes
import json
import os
import pathlib
import runpy
import subprocess
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_SECCOMP_GET_FILTER = 0x4206, 0x4207, 17, 0x420C
HERE = pathlib.Path(__file__).parent
NUMBERS = range(600)
# Values of the first argument that tell the conditions of clone, personality and socket apart.
VALUES = (0, 1, 2, 8, 16, 39, 40, 41, 0x20000, 0x20008, 0xFFFFFFFF, 0x7E020000, 0x10000000, 0x80, 1 << 32)
CASES = {
    "default": [],
    "everything": ["--cap-add=ALL"],
    "nothing": ["--cap-drop=ALL"],
    **{
        name: [f"--cap-add={name}"]
        for name in (
            "SYS_ADMIN", "DAC_READ_SEARCH", "SYS_BOOT", "SYS_MODULE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
            "SYS_TIME", "SYS_TTY_CONFIG", "SYS_NICE", "SYSLOG", "BPF", "PERFMON",
        )
    },
}  # fmt: skip


def docker(*words):
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


def filter_of(pid):
    ptrace = ctypes.CDLL(None, use_errno=True)["ptrace"]
    ptrace.argtypes, ptrace.restype = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p), ctypes.c_long
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if ptrace(request, pid, None, None) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(pid, 0x40000000)
    buffer = ctypes.create_string_buffer(8 * ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, None))
    ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, ctypes.addressof(buffer))
    ptrace(PTRACE_DETACH, pid, None, None)
    return buffer.raw


def verdicts(program, evaluate, abi):
    """`{number: verdict}`, or a list of verdicts for VALUES where the first argument matters."""
    found = {}
    for number in NUMBERS:
        each = [evaluate(program, abi, number, value) for value in VALUES]
        found[str(number)] = each[0] if len(set(each)) == 1 else each
    return found


def main(image):
    evaluate = runpy.run_path(str(HERE / "conftest.py"))["_evaluate"]
    recorded, default = {}, {}
    for name, options in CASES.items():
        container = docker("run", "-d", "--network=none", *options, image, "/bin/sleep", "1000")
        try:
            program = filter_of(int(docker("inspect", "-f", "{{.State.Pid}}", container)))
        finally:
            docker("rm", "-f", container)
        found = {abi: verdicts(program, evaluate, abi) for abi in ("x86_64", "x86", "x32")}
        default = default or found
        if name != "default":
            found = {a: {n: v for n, v in table.items() if default[a][n] != v} for a, table in found.items()}
        recorded[name] = {"options": options, "verdicts": found}
    version = docker("version", "-f", "{{.Server.Version}}")
    text = json.dumps({"version": version, "values": VALUES, "cases": recorded}, separators=(",", ":"))
    (HERE / "docker.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
