"""Containers of one scope of tests: made with labels that tell whose they are, removed at its end."""

import os
from collections.abc import Iterator
from typing import Unpack
from uuid import uuid4

import wherry
from wherry.pytest_plugin.owner import OWNER_LABEL, TEST_LABEL, owner


class Factory:
    """Calling it runs a container. What it made is removed, running or not, when its scope ends."""

    def __init__(self, engine: wherry.Client, scope: str) -> None:
        """`scope` names the test, module or session that the containers are for."""
        self._engine = engine
        self._scope = scope
        self._made: list[wherry.Container] = []

    def __call__(
        self, image: str, command: wherry.Command = (), **options: Unpack[wherry.RunOptions]
    ) -> wherry.Container:
        """Run a container, as `engine.run` does; it runs when this returns.

        A `name` gets an ending of its own, so that parallel tests may ask for the same; `inspect().name` tells it.
        """
        options["labels"] = {**options.get("labels", {}), OWNER_LABEL: owner(), TEST_LABEL: self._scope}
        if "name" in options:
            options["name"] = f"{options['name']}-{os.getpid()}-{uuid4().hex[:6]}"
        made = self._engine.run(image, command, **options)
        self._made.append(made)
        return made

    def __iter__(self) -> Iterator[wherry.Container]:
        return iter(self._made)

    def remove(self) -> None:
        """Remove them all, the last one first; then raise what went wrong, if anything did."""
        errors = []
        while self._made:
            try:
                self._made.pop().__exit__(None, None, None)
            except wherry.ClientError as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("containers that could not be removed", errors)
