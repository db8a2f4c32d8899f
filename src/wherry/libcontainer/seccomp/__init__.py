"""System call filters: a runtime-spec profile goes in, the BPF program that seccomp(2) takes comes out."""

from wherry.libcontainer.seccomp.actions import filter_flags
from wherry.libcontainer.seccomp.errors import FilterError
from wherry.libcontainer.seccomp.program import compile_program

__all__ = ("FilterError", "compile_program", "filter_flags")
