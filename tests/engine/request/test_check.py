"""What can never work is refused with dockerd's words before anything is made."""

import pytest

from wherry.engine.request.check import check, check_endpoints
from wherry.engine.request.refuse import refuse_unserved
from wherry.engine.request.signals import parse_signal
from wherry.model.config import (
    Config,
    EndpointIpam,
    EndpointRequest,
    Healthcheck,
    HostConfig,
    NetworkingConfig,
    RestartPolicy,
    Ulimit,
)
from wherry.model.errors import InvalidParameter, Unsupported

WRONG = [
    (Config(working_dir="rel"), HostConfig(), "the working directory 'rel' is invalid"),
    (Config(env=("=x",)), HostConfig(), "invalid environment variable: =x"),
    (Config(stop_signal="NOPE"), HostConfig(), "invalid signal: NOPE"),
    (Config(), HostConfig(oom_score_adj=5000), "range for oom score adj is [-1000, 1000]"),
    (Config(), HostConfig(restart_policy=RestartPolicy(name="odd")), "unknown policy 'odd'"),
    (
        Config(),
        HostConfig(restart_policy=RestartPolicy(name="always", maximum_retry_count=2)),
        "maximum retry count can only be used with 'on-failure'",
    ),
    (Config(), HostConfig(auto_remove=True, restart_policy=RestartPolicy(name="always")), "'AutoRemove' container"),
    (Config(hostname="x"), HostConfig(network_mode="container:y"), "conflicting options: hostname and the network"),
    (Config(), HostConfig(network_mode="container:"), "invalid container format container:<name|id>"),
    (Config(), HostConfig(pid_mode="private"), "invalid PID mode: private"),
    (Config(), HostConfig(ipc_mode="container:"), "invalid IPC mode: container:"),
    (Config(), HostConfig(uts_mode="container:x"), "invalid UTS mode: container:x"),
    (Config(), HostConfig(cgroupns_mode="odd"), "invalid cgroup namespace mode: odd"),
    (Config(), HostConfig(annotations={"": "x"}), "the empty string is not permitted as an annotation key"),
    (Config(hostname="x"), HostConfig(uts_mode="host"), "conflicting options: hostname and the UTS mode"),
    (Config(), HostConfig(ulimits=(Ulimit(name="nofile", soft=2, hard=1),)), "ulimit soft limit must be less"),
]


@pytest.mark.parametrize(("config", "host_config", "words"), WRONG, ids=[words[:40] for _, _, words in WRONG])
def test_nonsense_is_refused(config, host_config, words):
    with pytest.raises(InvalidParameter) as caught:
        check(config, host_config)
    assert words in str(caught.value)


def test_an_address_of_ones_own_needs_a_network_of_ones_own():
    wish = NetworkingConfig(endpoints_config={"none": EndpointRequest(ipam_config=EndpointIpam(ipv4_address="bad"))})
    with pytest.raises(InvalidParameter) as caught:
        check_endpoints(HostConfig(network_mode="none"), wish, lambda _: [])
    assert str(caught.value) == (
        "invalid config for network none: invalid endpoint settings:\n"
        "* user specified IP address is supported on user defined networks only\n"
        "* invalid IPv4 address: bad\n"
        "* user specified IP address is supported only when connecting to networks with user configured subnets"
    )


@pytest.mark.parametrize("name", ["interval", "timeout", "start_period", "start_interval"])
@pytest.mark.parametrize("nanoseconds", [-1, 1, 999_999])
def test_health_checks_take_at_least_a_millisecond(name, nanoseconds):
    wire = "".join(word.capitalize() for word in name.split("_"))
    with pytest.raises(InvalidParameter, match=f"^{wire} in Healthcheck cannot be less than 1ms$"):
        check(Config(healthcheck=Healthcheck(**{name: nanoseconds})), HostConfig())
    with pytest.raises(InvalidParameter, match=r"^Retries in Healthcheck cannot be negative$"):
        check(Config(healthcheck=Healthcheck(retries=-1)), HostConfig())


def test_an_option_that_is_not_served_is_named():
    with pytest.raises(Unsupported, match=r"HostConfig\.Cgroup is not supported yet"):
        refuse_unserved(HostConfig(cgroup="x"), NetworkingConfig())
    with pytest.raises(Unsupported, match=r"UsernsMode 'other' is not supported yet"):
        refuse_unserved(HostConfig(userns_mode="other"), NetworkingConfig())
    for mode in ("", "host", "private"):
        refuse_unserved(HostConfig(userns_mode=mode), NetworkingConfig())


@pytest.mark.parametrize(
    ("text", "number"),
    [("KILL", 9), ("sigterm", 15), ("1", 1), ("+1", 1), ("01", 1), ("RTMIN+3", 37), ("SIGRTMAX-2", 62), ("cld", 17)],
)
def test_signals_by_name_and_number(text, number):
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "NOPE", "0", "65", "-1", "RTMIN+99", "_DFL"])
def test_a_signal_that_does_not_exist(text):
    with pytest.raises(InvalidParameter, match="invalid signal"):
        parse_signal(text)
