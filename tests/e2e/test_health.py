"""Health checks by the real docker command line: statuses, results, events, time limits, the daemon's death."""

import json

import pytest

LABEL = "wherry.on-unhealthy"
SLEEP = ("busybox", "sleep", "1000")
QUICK = ("--stop-signal", "KILL")
FAST = ("--health-interval", "50ms", "--health-retries", "2")


def story(daemon, container, *, until, after=0):
    """A container's events, from the history and live, up to one that is newer than a time in nanoseconds."""
    client = daemon.client()
    events = client.events(since=1, filters={"container": container}, decode=True)
    told = []
    try:
        for event in events:
            told.append(event)
            if event["Action"] == until and event["timeNano"] > after:
                return told
        raise AssertionError(f"{until} was not told")
    finally:
        events.close()
        client.close()


def happened(daemon, container, *, what, after=0):
    return story(daemon, container, until=what, after=after)[-1]["timeNano"]


def becomes(daemon, container, status, after=0):
    return happened(daemon, container, what=f"health_status: {status}", after=after)


def health(daemon, container):
    return json.loads(daemon.out("inspect", "--format", "{{json .State.Health}}", container))


def status_of(daemon, container):
    return daemon.out("ps", "-a", "--filter", f"name={container}", "--format", "{{.Status}}")


def test_a_check_that_fails_and_then_succeeds_is_seen_everywhere(daemon):
    made = daemon.out("create", "--name", "box", "--health-cmd", "cat /ok", *FAST, *SLEEP)
    assert health(daemon, "box") is None
    assert daemon.out("ps", "-aq", "--no-trunc", "--filter", "health=none") == made
    daemon.docker("start", "box")
    seen = becomes(daemon, made, "unhealthy")
    first = health(daemon, "box")
    assert first["Status"] == "unhealthy"
    assert first["FailingStreak"] >= 2
    assert {(one["ExitCode"], one["Output"]) for one in first["Log"]} == {
        (1, "cat: can't open '/ok': No such file or directory\n")
    }
    assert all(one["Start"] < one["End"] for one in first["Log"])
    assert status_of(daemon, "box").endswith("(unhealthy)")
    assert daemon.out("ps", "-q", "--no-trunc", "--filter", "health=unhealthy") == made
    daemon.docker("exec", "box", "touch", "/ok")
    becomes(daemon, made, "healthy", after=seen)
    now = health(daemon, "box")
    assert (now["Status"], now["FailingStreak"], now["Log"][-1]["ExitCode"]) == ("healthy", 0, 0)
    assert len(now["Log"]) <= 5
    assert status_of(daemon, "box").endswith("(healthy)")
    assert daemon.out("ps", "-q", "--filter", "health=unhealthy", "--filter", "health=starting") == ""


def test_probes_are_told_as_execs(daemon):
    made = daemon.out("run", "-d", "--health-cmd", "true", *FAST, *SLEEP)
    told = story(daemon, made, until="health_status: healthy")
    actions = [event["Action"] for event in told]
    at = actions.index("exec_create: /bin/sh -c true")
    assert actions[at : at + 4] == [
        "exec_create: /bin/sh -c true", "exec_start: /bin/sh -c true", "exec_die", "health_status: healthy",
    ]  # fmt: skip
    about = {"image": "busybox", "name": daemon.out("inspect", "-f", "{{slice .Name 1}}", made)}
    assert told[at + 2]["Actor"]["Attributes"] == {
        **about, "execID": told[at]["Actor"]["Attributes"]["execID"], "exitCode": "0",
    }  # fmt: skip
    assert told[at + 3]["Actor"]["Attributes"] == about


def test_a_probe_that_takes_too_long_is_killed(daemon):
    check = ("--health-cmd", "echo began; exec sleep 1234", "--health-timeout", "200ms", *FAST)
    made = daemon.out("run", "-d", "--name", "box", *check, *SLEEP)
    becomes(daemon, made, "unhealthy")
    result = health(daemon, "box")["Log"][0]
    assert (result["ExitCode"], result["Output"]) == (-1, "Health check exceeded timeout (200ms): began\n")
    ends = [one["End"] for one in health(daemon, "box")["Log"]]
    assert ends == sorted(ends)
    # At most the newest is there: the others were killed.
    assert daemon.out("top", "box", "-o", "pid,args").count("sleep 1234") <= 1


def test_output_is_kept_up_to_a_limit(daemon):
    check = ("--health-cmd", "yes | head -c 9999", "--health-retries", "1", "--health-interval", "50ms")
    made = daemon.out("run", "-d", "--name", "box", *check, *SLEEP)
    becomes(daemon, made, "healthy")
    assert health(daemon, "box")["Log"][0]["Output"] == "y\n" * 2048 + "..."


def test_a_probe_that_is_not_there_says_so(daemon):
    client = daemon.client()
    check = {"test": ["CMD", "nosuch"], "interval": 50_000_000, "retries": 1}
    box = client.containers.run("busybox", "sleep 1000", detach=True, healthcheck=check)
    becomes(daemon, box.id, "unhealthy")
    result = health(daemon, box.id)["Log"][0]
    assert result["ExitCode"] == -1
    assert result["Output"] == (
        "OCI runtime exec failed: exec failed: unable to start container process: "
        'exec: "nosuch": executable file not found in $PATH'
    )
    client.close()


def test_a_paused_container_is_not_probed_and_a_stopped_one_begins_anew(daemon):
    made = daemon.out("run", "-d", "--name", "box", "--health-cmd", "true", *FAST, *SLEEP)
    seen = becomes(daemon, made, "healthy")
    daemon.docker("pause", "box")
    frozen = health(daemon, "box")
    assert frozen["Status"] == "unhealthy"
    assert status_of(daemon, "box").endswith("(Paused)")
    daemon.docker("unpause", "box")
    becomes(daemon, made, "healthy", after=seen)
    daemon.docker("stop", "-t", "0", "box")
    assert health(daemon, "box")["Status"] == "unhealthy"
    assert daemon.out("ps", "-aq", "--no-trunc", "--filter", "health=unhealthy") == made
    stopped = happened(daemon, made, what="die")
    daemon.docker("start", "box")
    becomes(daemon, made, "healthy", after=stopped)


def test_while_a_container_is_young_failures_do_not_count(daemon):
    check = ("--health-cmd", "test -e /ok", "--health-interval", "1h", "--health-retries", "1")
    young = ("--health-start-period", "1h", "--health-start-interval", "50ms")
    made = daemon.out("run", "-d", "--name", "box", *check, *young, *SLEEP)
    happened(daemon, made, what="exec_die")
    assert status_of(daemon, "box").endswith("(health: starting)")
    assert health(daemon, "box")["FailingStreak"] == 0
    daemon.docker("exec", "box", "touch", "/ok")
    becomes(daemon, made, "healthy")


def test_checking_goes_on_under_the_next_daemon(daemon):
    made = daemon.out("run", "-d", "--name", "box", "--health-cmd", "test ! -e /bad", *FAST, *SLEEP)
    becomes(daemon, made, "healthy")
    daemon.kill()
    daemon.start()
    assert health(daemon, "box")["Status"] == "healthy"
    daemon.docker("exec", "box", "touch", "/bad")
    becomes(daemon, made, "unhealthy")
    assert status_of(daemon, "box").endswith("(unhealthy)")


def test_what_is_unhealthy_is_restarted_where_its_label_says_so(daemon):
    check = ("--health-cmd", "test -e /ok", *FAST)
    made = daemon.out(
        "run", "-d", "--name", "box", "-l", f"{LABEL}=restart", *check, *QUICK, "busybox", "sleep", "1000"
    )
    first = happened(daemon, made, what="restart")
    happened(daemon, made, what="restart", after=first)
    daemon.docker("exec", "box", "touch", "/ok")
    becomes(daemon, made, "healthy", after=first)
    assert status_of(daemon, "box").endswith("(healthy)")


def test_restarts_of_the_unhealthy_have_a_limit(daemon):
    check = ("--health-cmd", "false", *FAST)
    made = daemon.out(
        "run", "-d", "--name", "box", "-l", f"{LABEL}=restart:1", *check, *QUICK, "busybox", "sleep", "1000"
    )
    last = happened(daemon, made, what="restart")
    becomes(daemon, made, "unhealthy", after=last)
    probed = happened(daemon, made, what="exec_die", after=last)
    told = story(daemon, made, until="exec_die", after=probed)
    assert [event["Action"] for event in told].count("restart") == 1


def test_what_was_unhealthy_when_the_daemon_died_is_restarted_by_the_next(daemon):
    check = ("--health-cmd", "false", "--health-retries", "1", "--health-interval", "1s")
    made = daemon.out(
        "run", "-d", "--name", "box", "-l", f"{LABEL}=restart:1", *check, *QUICK, "busybox", "sleep", "1000"
    )
    last = happened(daemon, made, what="restart")
    becomes(daemon, made, "unhealthy", after=last)
    daemon.kill()
    daemon.start()
    happened(daemon, made, what="restart", after=last)


@pytest.mark.parametrize("value", ["x", "restart:0", "restart:", "restart:x", "restart:-1", "stop"])
def test_another_wish_for_the_unhealthy_is_refused(daemon, value):
    done = daemon.docker("create", "-l", f"wherry.on-unhealthy={value}", "busybox", check=False)
    assert f"invalid label wherry.on-unhealthy={value}: must be no, restart or restart:N" in done.stderr


@pytest.mark.parametrize("flags", [["--no-healthcheck"], ["--health-interval", "1s"]])
def test_without_a_command_there_is_no_health(daemon, flags):
    daemon.docker("run", "-d", "--name", "box", *flags, *SLEEP)
    assert health(daemon, "box") is None
    assert "health" not in status_of(daemon, "box")


def test_an_image_brings_its_check_and_the_command_line_changes_it(daemon, busybox_tar):
    daemon.docker("import", "--change", 'CMD ["sleep", "1000"]', "--change",
                  'HEALTHCHECK --interval=50ms --retries=7 CMD ["echo", "fine"]', busybox_tar, "checked:1")  # fmt: skip
    try:
        made = daemon.out("run", "-d", "--name", "box", "--health-retries", "9", "checked:1")
        becomes(daemon, made, "healthy")
        assert health(daemon, "box")["Log"][0]["Output"] == "fine\n"
        said = json.loads(daemon.out("inspect", "--format", "{{json .Config.Healthcheck}}", "box"))
        assert said == {"Test": ["CMD", "echo", "fine"], "Interval": 50_000_000, "Retries": 9}
        daemon.docker("run", "-d", "--name", "off", "--no-healthcheck", "checked:1")
        assert health(daemon, "off") is None
    finally:
        daemon.docker("rm", "-f", "box", "off")
        daemon.docker("rmi", "checked:1")
