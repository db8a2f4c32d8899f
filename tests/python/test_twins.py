"""The two twins of the library say the same."""

import inspect
import subprocess
import sys
from pathlib import Path

import wherry
from wherry import aio

ROOT = Path(__file__).parents[2]


def test_the_blocking_twin_is_what_the_script_makes_of_the_other():
    done = subprocess.run([sys.executable, ROOT / "scripts/twins", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_have_the_same_methods_and_parameters():
    for name in ("Client", "Container", "Engine", "ExecSession", "Scope", "Session"):
        one, other = getattr(wherry, name), getattr(aio, name)
        said = {key: inspect.signature(value) for key, value in vars(one).items() if inspect.isfunction(value)}
        for key, signature in said.items():
            assert list(signature.parameters) == list(inspect.signature(_twin_of(other, key)).parameters), key


def _twin_of(other, name):
    return getattr(other, {"__enter__": "__aenter__", "__exit__": "__aexit__", "__iter__": "__aiter__"}.get(name, name))


def test_every_name_of_the_package_is_there():
    for name in dir(wherry):
        assert getattr(wherry, name) is not None
    assert not hasattr(wherry, "no_such_name")


def test_importing_the_package_imports_none_of_the_library():
    words = "import sys, wherry; print([name for name in sys.modules if name.startswith('wherry.')])"
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
