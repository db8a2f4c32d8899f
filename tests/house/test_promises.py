"""Each promise of the documentation names a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def names_in(path):
    tree = ast.parse(path.read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_each_named_test_is_there(page):
    for file, name in NAMED.findall(page.read_text()):
        assert (ROOT / file).is_file(), file
        assert not name or name in names_in(ROOT / file), f"{file}::{name}"


@pytest.mark.parametrize("page", ["reliability.md", "security.md"])
def test_each_row_of_promises_names_its_test(page):
    rows = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("| ")]
    assert rows
    headings = [row for row in rows if "| held by |" in row]
    assert [row for row in rows if row not in headings and not NAMED.search(row)] == []
