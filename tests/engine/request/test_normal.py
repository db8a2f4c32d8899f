"""What a request leaves open is decided, and inspect shows it."""

import pytest

from wherry.engine.request.normal import normal_config
from wherry.model.config import Config, HostConfig

ID = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    ("said", "shown"), [("", ""), ("/", "/"), ("/a/b", "/a/b"), ("/a//b/../c/", "/a/c"), ("/../x", "/x")]
)
def test_the_working_directory_is_a_clean_path(said, shown):
    assert normal_config(Config(working_dir=said), HostConfig(), ID, host_name="host").working_dir == shown


HOST_NAMES = [("", "bridge", ID[:12]), ("", "host", "host"), ("own", "host", "own"), ("own", "", "own")]


@pytest.mark.parametrize(("said", "mode", "shown"), HOST_NAMES)
def test_the_host_name_is_the_hosts_own_in_its_network_only(said, mode, shown):
    config = normal_config(Config(hostname=said), HostConfig(network_mode=mode), ID, host_name="host")
    assert config.hostname == shown
