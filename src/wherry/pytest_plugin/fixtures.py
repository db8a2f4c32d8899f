"""The fixtures."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from wherry.pytest_plugin.choice import choose
from wherry.pytest_plugin.hooks import FACTORIES

if TYPE_CHECKING:
    import wherry
    from wherry.pytest_plugin.factory import Factory


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> "Iterator[wherry.Client]":
    """The engine of this test run: a daemon's client, or an engine in this process that ends with it."""
    import wherry  # noqa: PLC0415 - not for tests without containers
    from wherry.pytest_plugin.owner import sweep  # noqa: PLC0415

    choice = choose(pytestconfig)
    if not choice.url:
        with wherry.Engine.local(choice.root or None) as local:
            yield local
        return
    with wherry.connect(choice.url) as client:
        sweep(client)
        try:
            scope: wherry.Client = client.session()
        except (wherry.NotFound, wherry.Unsupported):
            scope = client  # it is not Wherry
        with scope:
            yield scope


@pytest.fixture
def container(engine: "wherry.Client", request: pytest.FixtureRequest) -> "Iterator[Factory]":
    """Runs containers for one test: `container("postgres:17", env={…}, ports={5432: 0})`."""
    yield from _factory(engine, request)


@pytest.fixture(scope="module")
def module_container(engine: "wherry.Client", request: pytest.FixtureRequest) -> "Iterator[Factory]":
    """Runs containers that all tests of a module share."""
    yield from _factory(engine, request)


@pytest.fixture(scope="session")
def session_container(engine: "wherry.Client", request: pytest.FixtureRequest) -> "Iterator[Factory]":
    """Runs containers that all tests (of a worker) share."""
    yield from _factory(engine, request)


def _factory(engine: "wherry.Client", request: pytest.FixtureRequest) -> "Iterator[Factory]":
    from wherry.pytest_plugin.factory import Factory  # noqa: PLC0415

    made = Factory(engine, request.node.nodeid or request.node.name)
    live = request.config.stash[FACTORIES]
    live[made] = request.scope != "function"
    try:
        yield made
    finally:
        del live[made]
        made.remove()
