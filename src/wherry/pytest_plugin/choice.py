"""Which engine a test run uses, out of options, ini file and environment."""

import os
from dataclasses import dataclass

import pytest

OPTION, INI = "--wherry-engine", "wherry_engine"
ROOT_INI, LINES_INI = "wherry_root", "wherry_log_lines"
AUTO, LOCAL = "auto", "local"
LINES = "100"


@dataclass(frozen=True, slots=True)
class Choice:
    """A daemon at `url`, or with an empty one an engine in this process whose state is in `root` ("": temporary)."""

    url: str = ""
    root: str = ""

    @property
    def words(self) -> str:
        """For the report's header."""
        return self.url or "in this process" + (f", with its state in {self.root}" if self.root else "")


def choose(config: pytest.Config) -> Choice:
    """The option goes before the ini file; `auto` takes what WHERRY_HOST or DOCKER_HOST name."""
    said = str(config.getoption(OPTION) or config.getini(INI) or AUTO)
    if said == AUTO:
        said = os.environ.get("WHERRY_HOST") or os.environ.get("DOCKER_HOST") or LOCAL
    if said != LOCAL:
        return Choice(url=said)
    root = str(config.getini(ROOT_INI))
    return Choice(root=os.path.join(config.rootpath, root, worker(config)) if root else "")


def worker(config: pytest.Config) -> str:
    """What xdist calls this worker, such as gw0; `main` without xdist."""
    given: dict[str, str] = getattr(config, "workerinput", {})
    return given.get("workerid", "main")
