"""The house is tidy: linters, types, layers, opening sentences and sizes are tests."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "wherry").rglob("*.py"))
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 50


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_each_file_opens_with_a_sentence_and_is_small(path):
    text = path.read_text()
    tree = ast.parse(text)
    opening = (ast.get_docstring(tree) or "").split("\n")[0]
    assert opening.endswith((".", ":", "!")), f"{name(path)} does not open with a sentence"
    assert text.count("\n") <= FILE_LINES_MAX
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{name(path)}: {node.name} has {lines} lines"


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=" ".join,
)
@pytest.mark.timeout(300)
def test_the_linter_agrees(command):
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_its_section_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.name for path in (ROOT / "src" / "wherry").iterdir() if (path / "__init__.py").exists()]
    missing = [room for room in rooms if f"`{room}/`" not in text]
    assert not missing


def test_the_project_speaks_of_itself_alone():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    foreign = ["/work" + "/main", "/work" + "/shared", "." + "library/", "pypi" + ".org", "deb." + "debian.org"]
    for file in filter(None, files):
        path = ROOT / file
        if path.suffix in {".py", ".md", ".toml", ".sh", ""} and path.is_file():
            text = path.read_text(errors="replace")
            assert not [word for word in foreign if word in text], file
