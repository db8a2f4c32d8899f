"""The plugin's fixtures in test runs of their own."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import wherry
from wherry.pytest_plugin.owner import OWNER_LABEL

USE = """
    def test_it_runs(container, busybox):
        web = container(busybox, ["sh", "-c", "httpd -f -h /etc"], ports={80: 0}, name="web")
        web.wait_ready(http="/passwd")
        assert web.exec("echo inside").text == "inside\\n"
        assert web.inspect().name.startswith("web-")
"""
FAIL = """
    import pytest

    @pytest.fixture(scope="session")
    def shared(session_container, busybox):
        return session_container(busybox, ["sh", "-c", "echo shared; sleep 1000"], name="shared")

    def test_it_fails(container, shared, busybox):
        container(busybox, ["sh", "-c", "echo first; echo second >&2; exit 3"], name="own").wait()
        assert not "a reason"

    @pytest.fixture
    def broken(container, busybox):
        made = container(busybox, ["sh", "-c", "echo unready; sleep 1000"])
        made.wait_ready(port=99, timeout=0)

    def test_its_setup_fails(broken):
        pass

    def test_it_passes(shared):
        pass
"""


def test_containers_run_in_an_engine_of_the_run_and_are_removed(project):
    project.makepyfile(USE)
    done = project.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1)


def test_a_failed_test_shows_what_its_containers_wrote(project):
    project.makepyfile(FAIL)
    done = project.runpytest_subprocess("--wherry-engine=local")
    done.assert_outcomes(failed=1, errors=1, passed=1)
    done.stdout.fnmatch_lines([
        "wherry: engine in this process",
        "*container *(busybox): running*", "unready",
        "*container shared-*(busybox): running*",
        "*container own-*(busybox): exited, exit code 3*", "first", "second",
    ])  # fmt: skip


def test_a_tests_log_is_cut_as_the_ini_file_says(project):
    project.makeini("[pytest]\nwherry_log_lines = 1\nwherry_engine = local")
    project.makepyfile(FAIL)
    done = project.runpytest_subprocess("-k", "it_fails")
    done.stdout.fnmatch_lines(["second"])
    done.stdout.no_fnmatch_line("first")


def test_images_stay_in_a_root_that_is_kept(project):
    project.makeini("[pytest]\nwherry_root = kept")
    project.makepyfile(test_a="def test_first(engine): assert not engine.images.exists('busybox')", test_b=USE)
    project.runpytest_subprocess().assert_outcomes(passed=2)
    project.makepyfile(test_a="def test_first(engine): assert engine.images.exists('busybox')")
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_workers_of_xdist_share_a_daemon_without_getting_into_each_others_way(project, daemon_url, monkeypatch):
    monkeypatch.setenv("WHERRY_HOST", daemon_url)
    project.makepyfile("""
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_each(number, container, busybox):
            made = container(busybox, ["sleep", "1000"], name="same")
            assert made.exec(f"echo {number}").text == f"{number}\\n"
            assert number != 5
    """)
    done = project.runpytest_subprocess("-n", "2")
    done.assert_outcomes(passed=7, failed=1)
    done.stdout.fnmatch_lines(["*container same-*(busybox): running*"])
    with wherry.connect(daemon_url) as client:
        assert client.containers.list(all=True) == ()


def test_workers_of_xdist_have_engines_of_their_own(project):
    project.makepyfile(
        test_a="def test_a(container, busybox): assert container(busybox, ['sleep', '9']).exec('true').exit_code == 0",
        test_b="def test_b(container, busybox): assert container(busybox, ['sleep', '9']).exec('true').exit_code == 0",
    )
    project.runpytest_subprocess("-n", "2", "--dist=loadfile").assert_outcomes(passed=2)


HANG = """
    import signal

    def test_it_hangs(container, busybox):
        pid = container(busybox, ["sleep", "1000"]).inspect().state.pid
        with open("pid", "w") as told:
            told.write(str(pid))
        signal.pause()
"""


def begin(project, *arguments):
    """A run that hangs, and a descriptor for the process of its container."""
    project.makepyfile(HANG)
    os.mkfifo(project.path / "pid")
    run = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=project.path, stdout=subprocess.PIPE)
    return run, os.pidfd_open(int((project.path / "pid").read_text()))


def has_ended(process):
    try:
        return bool(select.select([process], [], [], 20)[0])
    finally:
        os.close(process)


def test_a_run_that_is_interrupted_removes_its_containers(project):
    run, container = begin(project)
    run.send_signal(signal.SIGINT)
    assert has_ended(container)
    run.communicate()


def test_a_run_that_is_killed_leaves_no_container(project, until_guardians_end):
    run, container = begin(project)
    run.kill()
    run.communicate()
    assert has_ended(container)
    until_guardians_end()


def test_a_daemon_removes_what_a_killed_run_has_made(project, daemon_url):
    with wherry.connect(daemon_url) as client, client.events(filters={"event": "destroy"}) as events:
        run, container = begin(project, f"--wherry-engine={daemon_url}")
        run.kill()
        run.communicate()
        assert next(iter(events)).actor.attributes[OWNER_LABEL]
    assert has_ended(container)


def test_what_a_killed_run_left_in_a_daemon_without_sessions_is_removed_by_the_next(project, daemon_url):
    ended = subprocess.Popen(["true"])
    ended.wait()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    owners = {"left": f"{boot}:{ended.pid}:1", "of another host": f"another-boot:{ended.pid}:1"}
    with wherry.connect(daemon_url) as client:
        made = [client.run("busybox", ["sleep", "1000"], labels={OWNER_LABEL: owner}) for owner in owners.values()]
        project.makepyfile("def test_it(engine): assert len(engine.containers.list()) == 1")
        project.runpytest_subprocess(f"--wherry-engine={daemon_url}").assert_outcomes(passed=1)
        with pytest.raises(wherry.NotFound):
            made[0].inspect()
        made[1].remove(force=True)


def test_a_run_without_these_fixtures_loads_nothing_of_it(project):
    project.makeconftest("")
    project.makepyfile("""
        import sys

        def test_it():
            assert not [name for name in sys.modules if name.startswith(("wherry.python", "wherry.client"))]
    """)
    done = project.runpytest_subprocess()
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("wherry: *")


@pytest.fixture
def until_guardians_end():
    """Wait for the processes beside killed engines, which live in sessions of their own."""

    def wait():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    is_guardian = b"wherry.python.guardian" in file.read()
                process = os.pidfd_open(int(pid)) if is_guardian else None
            except OSError:
                continue
            if process is not None:
                assert has_ended(process)

    return wait
