"""A user's configuration is laid over the image's as dockerd does it."""

import pytest

from wherry.engine.request.merge import command_line, merge
from wherry.model.config import Config, Healthcheck
from wherry.model.errors import InvalidParameter

IMAGE = Config(entrypoint=("/entry",), cmd=("default",), env=("A=image", "B=image"), labels={"a": "1", "b": "1"})


@pytest.mark.parametrize(
    ("user", "line"),
    [
        (Config(), ("/entry", "default")),
        (Config(cmd=("other",)), ("/entry", "other")),
        (Config(entrypoint=("/mine",)), ("/mine",)),
        (Config(entrypoint=("",), cmd=("sh",)), ("sh",)),
        (Config(entrypoint=("/mine",), cmd=("x", "y")), ("/mine", "x", "y")),
    ],
)
def test_an_entrypoint_of_the_users_drops_the_command_of_the_image(user, line):
    assert command_line(merge(user, IMAGE)) == line


def test_nothing_to_run_is_an_error():
    with pytest.raises(InvalidParameter, match="no command specified"):
        merge(Config(entrypoint=("",)), Config(entrypoint=("/entry",)))


def test_environment_and_labels_are_united_and_the_user_wins():
    merged = merge(Config(env=("A=user", "C"), labels={"a": "2"}), IMAGE)
    assert merged.env == ("A=user", "C", "B=image")
    assert merged.labels == {"a": "2", "b": "1"}


def test_a_healthcheck_fills_in_what_the_user_did_not_say():
    image = Config(cmd=("x",), healthcheck=Healthcheck(test=("CMD", "a"), interval=5, retries=3))
    merged = merge(Config(healthcheck=Healthcheck(interval=9)), image)
    assert merged.healthcheck == Healthcheck(test=("CMD", "a"), interval=9, retries=3)
