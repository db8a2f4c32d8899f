"""A daemon elsewhere, by a real sshd, as docs/configuration.md says."""

import shutil

import pytest

PREPARE = r"""
mkdir -p /run/sshd keys bin
ssh-keygen -q -t ed25519 -N '' -f keys/host
ssh-keygen -q -t ed25519 -N '' -f keys/user
cat > keys/client <<END
IdentityFile $PWD/keys/user
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
END
cat > keys/server <<END
Port 2222
ListenAddress 127.0.0.1
HostKey $PWD/keys/host
AuthorizedKeysFile $PWD/keys/user.pub
PermitRootLogin yes
StrictModes no
PidFile none
SetEnv PATH=$PWD/.venv/bin:/usr/local/bin:/usr/bin:/bin DOCKER_HOST=unix:///run/wherry.sock
END
printf '#!/bin/sh\nexec /usr/bin/ssh -F %s "$@"\n' $PWD/keys/client > bin/ssh
chmod +x bin/ssh
/usr/sbin/sshd -f keys/server
export PATH=$PWD/bin:$PWD/.venv/bin:$PATH
scripts/first-run > greeting
"""


@pytest.mark.parametrize("program", ["docker", "wherry"])
def test_a_daemon_is_reached_by_ssh(program, machine, tmp_path):
    for needed in ("sshd", "docker"):
        if not shutil.which(needed, path="/usr/local/bin:/usr/bin:/usr/sbin"):
            pytest.skip(f"{needed} is not installed")
    (tmp_path / "prepare").write_text(PREPARE)
    machine.type(". ./prepare")
    host = "-H ssh://root@127.0.0.1:2222"
    assert machine.type(f"{program} {host} images --format '{{{{.Repository}}}}'")[0] == "busybox\n"
    assert machine.type(f"echo there | {program} {host} run --rm -i busybox cat")[0] == "there\n"
