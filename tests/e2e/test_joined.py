"""Containers that share namespaces with another one: whose name and files they have, and when they cannot."""

import pytest


def inspected(daemon, name, template):
    return daemon.out("inspect", "--format", template, name)


@pytest.fixture
def owner(daemon):
    daemon.docker("run", "-d", "--name", "owner", "--hostname", "up", "--domainname", "d.e", "busybox", "sleep", "1000")
    return daemon.out("inspect", "--format", "{{.Id}}", "owner")


def refusal(daemon, *words):
    done = daemon.docker(*words, check=False)
    assert done.returncode
    return done.stderr.splitlines()[0].partition("daemon: ")[2]


def test_who_is_in_anothers_network_has_its_name_and_files(daemon, owner):
    daemon.docker("run", "-d", "--name", "joined", "--network=container:owner", "busybox", "sleep", "1000")
    shown = daemon.out("exec", "joined", "sh", "-c", "hostname; cat /etc/hostname; tail -n 1 /etc/hosts | cut -f 2")
    assert shown == "up\nup\nup.d.e up"
    assert inspected(daemon, "joined", "{{.Config.Hostname}}.{{.Config.Domainname}}") == "up.d.e"
    template = "{{.HostnamePath}} {{.HostsPath}} {{.ResolvConfPath}}"
    assert inspected(daemon, "joined", template) == inspected(daemon, "owner", template)
    assert inspected(daemon, "joined", "{{.LogPath}}").endswith("-json.log")
    through = ["run", "--rm", "--network=container:joined", "busybox", "sh", "-c", "hostname; cat /etc/hostname"]
    assert daemon.out(*through) == "up\nup"


def test_an_owner_may_be_renamed(daemon, owner):
    modes = [f"--{kind}=container:owner" for kind in ("network", "pid", "ipc")]
    daemon.docker("create", "--name", "joined", *modes, "busybox", "true", check=True)
    shown = inspected(daemon, "joined", "{{with .HostConfig}}{{.NetworkMode}} {{.PidMode}} {{.IpcMode}}{{end}}")
    assert shown == " ".join([f"container:{owner}"] * 3)
    daemon.docker("rename", "owner", "other")
    assert inspected(daemon, "joined", "{{.Config.Hostname}}") == inspected(daemon, "joined", "{{printf `%.12s` .Id}}")
    assert "non-shareable IPC" in refusal(daemon, "start", "joined")
    daemon.docker("run", "--rm", f"--network=container:{owner}", "--pid=container:other", "busybox", "true")


def test_an_owner_that_does_not_run_is_told_in_dockerds_words(daemon, owner):
    for kind in ("network", "pid", "ipc"):
        daemon.docker("create", "--name", f"by-{kind}", f"--{kind}=container:owner", "busybox", "true")
    daemon.docker("kill", "owner")
    daemon.docker("wait", "owner")
    lost = "cannot join network namespace of a non running container: container owner is exited"
    assert refusal(daemon, "start", "by-network") == lost
    assert refusal(daemon, "start", "by-pid") == f"failed to join PID namespace: container {owner} is not running"
    assert refusal(daemon, "start", "by-ipc") == f"failed to join IPC namespace: container {owner} is not running"
    daemon.docker("rm", "owner")
    lost = f"joining network namespace of container: No such container: {owner}"
    assert refusal(daemon, "start", "by-network") == lost


def test_network_parameters_may_be_set_in_a_network_that_is_shared(daemon, owner):
    words = ["--network=container:owner", "--sysctl=net.ipv4.ip_default_ttl=77", "busybox"]
    daemon.docker("run", "--rm", *words, "true")
    assert daemon.out("exec", "owner", "cat", "/proc/sys/net/ipv4/ip_default_ttl") == "77"


@pytest.mark.parametrize("mode", ["host", "container:owner"])
def test_an_init_is_for_process_1_only(daemon, owner, mode):
    done = daemon.docker("run", "--rm", "--init", f"--pid={mode}", "busybox", "ps")
    assert "docker-init" not in done.stdout
    assert done.stderr == ""


def test_with_the_hosts_uts_namespace_the_files_have_a_name_of_their_own(daemon):
    shown = daemon.out("run", "--rm", "--uts=host", "busybox", "sh", "-c", "hostname; cat /etc/hostname").splitlines()
    assert shown[0] == daemon.run("hostname").stdout.strip()
    assert len(shown[1]) == 12
    words = 'sysctl "kernel.domainname" is not in a separate kernel namespace'
    assert refusal(daemon, "run", "--uts=host", "--domainname=x", "busybox", "true") == words
