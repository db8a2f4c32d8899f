"""Options, and what containers wrote beside the report of a test that failed."""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from wherry.pytest_plugin.choice import INI, LINES, LINES_INI, OPTION, ROOT_INI, choose

if TYPE_CHECKING:
    from wherry.pytest_plugin.factory import Factory

# Those whose scope has not ended, and whether they are shared by several tests.
FACTORIES: "pytest.StashKey[dict[Factory, bool]]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what can be said."""
    group = parser.getgroup("wherry", "containers by Wherry")
    group.addoption(
        OPTION,
        metavar="WHERE",
        help="the engine for the fixtures: a URL, `local` for one in this process, or `auto`: WHERRY_HOST, DOCKER_HOST,"
        " else local",
    )
    parser.addini(INI, f"the default of {OPTION}")
    parser.addini(ROOT_INI, "keep the state of a local engine (its images) in this directory, each worker its own part")
    parser.addini(LINES_INI, "how many last lines of a container's log a failed test shows", default=LINES)


def pytest_configure(config: pytest.Config) -> None:
    """Begin without containers."""
    config.stash[FACTORIES] = {}


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the engine where one was chosen."""
    return f"wherry: engine {choose(config).words}" if config.getoption(OPTION) or config.getini(INI) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of the containers there are: all of the test's own, and since its beginning of those it shares."""
    report = yield
    if report.failed:
        for factory, is_shared in item.config.stash[FACTORIES].items():
            from wherry.pytest_plugin.logs import section  # noqa: PLC0415 - there is a container, so it is loaded

            lines = int(item.config.getini(LINES_INI))
            for made in factory:
                report.sections.append(section(made, lines=lines, since=call.start if is_shared else None))
    return report
