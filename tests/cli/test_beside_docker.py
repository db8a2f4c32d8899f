"""Word for word the same as docker: what is printed, what is asked of the daemon, how the program ends."""

# ruff: noqa: E501 - each line is one command line

import itertools
import shlex

import pytest

pytestmark = pytest.mark.peer

# Asked of a real dockerd.
LINES = r"""
ps -a
ps -aq
ps -a --format raw
ps --format '{{.ID}}: {{.Command}} {{.Label "a"}} {{.Names | upper}}'
ps -a --format 'table {{.ID}} {{.Names}}\t{{.Label "a"}}'
ps -a --format 'table {{.Names}}\t{{upper .Image}}\t{{.Ports}}'
ps -a --format '{{range $i, $e := split .Names ","}}{{$i}}={{$e}}{{end}}'
ps -a --format '{{if eq .Names "one"}}yes{{else if eq .Names "two"}}maybe{{else}}no{{end}}'
ps -a --format '{{with .Labels}}L:{{.}}{{else}}none{{end}}'
ps -a --format '{{printf "%-10s|%5s|%q" .Names .State .Image}}'
ps -a --format '{{truncate .Names 2}} {{pad .Names 1 3}} {{title .State}} {{len .Names}} {{lower "ABC"}} {{print 1 2 "x"}}'
ps -a --format '{{and .Names .Labels}} {{or .Labels "x"}} {{not .Labels}}'
ps -a --format '{{- .Names -}}  x'
ps -a --format '{{/* c */}}{{.Names}}'
ps -a --format '{{$x := .Names}}{{$x}}'
ps -a --format '{{.Foo}}'
ps -a --format '{{.Names'
ps -a --format '{{foo .Names}}'
ps -a --format '{{if .Names}}'
ps -a --format '{{.Names.Foo}}'
ps -a --format '{{end}}'
ps -a --format '{{range}}x{{end}}'
ps -a --format '{{join (split .Names "o") "-"}}'
ps -l
ps -a -f status=running
ps -a -f name=one -f label=a=b
ps -f foo
ps -f foo=bar
ps --x
ps -x
ps a
images
images -q
images --digests
images --format json
images --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}} {{.CreatedAt}} {{.VirtualSize}}'
images --format 'table {{.ID}}\t{{.Repository}}'
images --format raw
images nosuch
images busy*
history -q busybox
history -H=false busybox
history --format json busybox
history nosuch
network ls
network ls -q
network ls --no-trunc
network ls --format json
network ls --format raw
network ls -f driver=host
network rm -f nosuch
volume ls
volume ls -q
volume ls --format json
volume ls --format raw
volume rm nosuch
volume rm -f nosuch
inspect one
inspect one two busybox vol1 host
inspect nosuch
inspect one nosuch
inspect --type image one
inspect --type container one nosuch
inspect -f '{{json .State}}' one
inspect -f '{{.Foo}}' one
inspect -f '{{.Name' one
inspect -f json one
inspect -f '{{range .Mounts}}{{.Type}} {{.Destination}};{{end}}{{index .Config.Cmd 0}}{{len .Args}}' one
inspect -f '{{index .Config.Labels "a"}} {{index .Config.Labels "zz"}}' one
container inspect one nosuch
image inspect busybox nosuch
image inspect -f '{{.RepoTags}} {{.Os}}/{{.Architecture}} {{.Size}}' busybox
port one
port one 80
port one 80/udp
port nosuch
top nosuch
logs nosuch
logs two
logs --since abc two
logs a b
logs --since 2020-01-01 --until 2020-01-02 two
exec nosuch true
exec three true
exec two sh -c 'echo a; echo b >&2; exit 3'
exec -e A=1 -w /bin -u root two sh -c 'echo $A $PWD'
exec two
rmi nosuch
tag busybox UP
tag busybox a:b:c
tag nosuch x
rename nosuch xx
attach nosuch
system foo
container nosuch
run
run --x
run -m abc busybox
run -p 99999:1 busybox
run --pull foo nosuch
run --rm --network none busybox echo hi
run --rm --network none busybox sh -c 'exit 3'
run --rm --network none busybox nosuch
run --rm --network none busybox /etc
run -it busybox
run --rm --restart always busybox
run --name '' --rm --network none busybox true
run -e =x busybox
run --mount foo busybox
run --mount type=bind busybox
run --ulimit foo busybox
run --ulimit nofile=3:1 busybox
run --device foo busybox
run --add-host foo busybox
run --add-host foo:bar busybox
run --dns foo busybox
run --cpus x busybox
run --cpus 1.00000000001 busybox
run --health-interval 3 busybox
run --health-interval 3x busybox
run --health-cmd a --no-healthcheck busybox
run --pid foo busybox
run --uts foo busybox
run --restart foo busybox
run --restart on-failure:x busybox
run --security-opt seccomp=/nosuch busybox
run --security-opt foo busybox
run --mac-address zz busybox
run --memory-swappiness 200 busybox
run --env-file /nosuch busybox
run --label =x busybox
run -p 1.2.3:80:80 busybox
run -p 80:80/foo busybox
run -p 80-82:80-81 busybox
run -p a:80 busybox
run -p [::1]:80:80 -p x busybox
run --network-alias a busybox
run --blkio-weight-device foo busybox
run --device-read-bps /dev/x:foo busybox
run --log-driver none --log-opt a=b busybox
run --storage-opt a busybox
run --cgroupns foo busybox
run --userns foo busybox
run -a foo busybox
run --link a:b:c busybox
run Busybox
run a//b
run --workdir x --network none busybox
run --user nosuch --rm --network none busybox true
run --cidfile /etc/passwd busybox
pull a b
push a//b
push nosuch
save
save nosuch
load -i /nosuch
network create
version x
help nosuch
rm nosuch
rm -f nosuch
stop nosuch
kill nosuch
pause nosuch
start nosuch
wait nosuch
unpause one
rename one ''
ps -a --format json
attach three
volume inspect nosuch vol1
network inspect host
run --name one busybox
nosuch
stats --no-stream three
stats --no-stream --no-trunc three
stats --no-stream --format json three
stats --no-stream -a --format '{{.Name}} {{.ID}} {{.Container}}'
stats --no-stream --format 'table {{.Name}}\t{{.NetIO}}' three one
stats --no-stream --format '{{.PIDs}}' one three
stats --no-stream nosuch
stats nosuch
update three
update --cpus x three
update --cpu-shares 512 nosuch
update --memory 1k three
update --restart foo three
update --restart on-failure:x three
update --pids-limit 50 three
update
"""

# Asked of a daemon that only records.
REQUESTS = r"""
create busybox
create busybox echo hi
create -it busybox
create -i -a stdin -a stdout busybox
create -a stderr busybox
create -p 8080:80 -p 127.0.0.1:53:53/udp -p 90-92:80-82 -p 443 -p ::8000 -p 1.2.3.4::9 busybox
create -p [::1]:80:80/tcp -p [::1]::81 busybox
create -p 8000-8010:80 busybox
create -p 80-82 busybox
create -p target=80,published=8080 -p published=1-3,target=1-3,protocol=udp busybox
create -p 1.2.3.4:80:80/SCTP busybox
create --expose 80 --expose 90-92/udp -P -p 80:80 busybox
create --mount type=bind,source=/tmp,target=/x,readonly,bind-propagation=rslave busybox
create --mount type=volume,src=v,dst=/x,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=o=x busybox
create --mount type=tmpfs,target=/x,tmpfs-size=10m,tmpfs-mode=1777 busybox
create --mount target=/x busybox
create --mount type=bind,src=.,dst=/x,ro=false busybox
create --mount 'type=volume,src=v,dst=/x,"volume-opt=o=a,b"' busybox
create --mount type=bind,src=/a,dst=/x,ro,bind-recursive=readonly,bind-propagation=rprivate busybox
create --mount type=volume,src=v,dst=/x,volume-subpath=a/b busybox
create --tmpfs /a --tmpfs /b:size=1m,mode=700 busybox
create --entrypoint /x busybox a b
create --entrypoint= busybox a
create --cpus 1.5 -c 512 --cpu-period 100000 --cpu-quota 5000 --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 10 --blkio-weight 500 busybox
create --blkio-weight-device /dev/x:100 --device-read-bps /dev/x:1mb --device-write-bps /dev/x:1k --device-read-iops /dev/x:5 --device-write-iops /dev/x:6 busybox
create --cap-add NET_ADMIN --cap-add sys_admin --cap-drop all --privileged busybox
create --security-opt systempaths=unconfined --security-opt seccomp=unconfined busybox
create --security-opt no-new-privileges:true --security-opt no-new-privileges=false busybox
create --device /dev/null --device /dev/zero:/dev/z:r --device /dev/full:rw --device /dev/a:/dev/b busybox
create --device vendor.com/class=name --device-cgroup-rule 'c 1:* rwm' busybox
create --read-only --init --ulimit nofile=100:200 --ulimit core=-1 --ulimit nproc=5 busybox
create --init=false -l a=b -l c -l d=e=f --annotation x=y busybox
create --restart always --stop-signal TERM --stop-timeout 5 busybox
create --restart on-failure:3 busybox
create --restart unless-stopped busybox
create --restart no --rm busybox
create --platform linux/amd64 --log-driver json-file --log-opt max-size=1m busybox
create --dns 1.1.1.1 --dns-option ndots:1 --dns-search a.b --dns-search . --add-host a:1.2.3.4 --add-host b=::1 --add-host c:host-gateway --add-host d=[::2] busybox
create --link a:b --link c --volumes-from x:ro --shm-size 1g --sysctl net.a=1 --group-add audio --group-add 5 busybox
create --ipc host --pid host --uts host --userns host --cgroupns private --cgroup-parent /x --runtime foo --storage-opt size=1G busybox
create --pid container:abc --ipc container:abc --ipc shareable busybox
create --oom-kill-disable --oom-score-adj -5 busybox
create --health-cmd 'true x' --health-interval 5s --health-timeout 1m30s --health-retries 3 --health-start-period 1.5h --health-start-interval 10ms busybox
create --no-healthcheck busybox
create --name foo -u 1:2 -w /x -h host --domainname dom busybox
create --network foo --network-alias a --network-alias b --ip 1.2.3.4 --ip6 ::1 --mac-address 92:d0:c6:0a:29:33 --link-local-ip 169.254.1.1 busybox
create --network host busybox
create --net none busybox
create --network container:abc busybox
create --network name=foo,alias=x,ip=1.2.3.4,mac-address=92:d0:c6:0a:29:33,driver-opt=a=b,gw-priority=5 busybox
create --network foo --network bar busybox
create --network foo --link a:b busybox
create --network bridge --link a:b busybox
create --network bridge --mac-address 92:d0:c6:0a:29:33 busybox
create --network default --ip 1.2.3.4 busybox
create --isolation default --volume-driver foo busybox
create -h a.b.c busybox
create -it --rm --name=x -w=/y -e=A=B -p=80:80 busybox sh -c 'x'
create sha256:c9f39d2214b2a3fbd217ade47bf13028a252f409dea7662b9e87373d0e5bfbef
create c9f39d2214b2
create docker.io/library/busybox:1 x
create localhost:5000/a/b@sha256:c9f39d2214b2a3fbd217ade47bf13028a252f409dea7662b9e87373d0e5bfbef
create -m 1.5.5g busybox
create -m 1 g busybox
create -m 1gib busybox
create -m 1GB busybox
create -m 1q busybox
create -m -5 busybox
create --shm-size 1.5k busybox
create -v a busybox
create -v "" busybox
create --expose 80/foo busybox
create -p 80:80:80:80 busybox
create -p foo busybox
create -p 80/ busybox
create -p :80 busybox
create -p : busybox
create -p "" busybox
create -p 0:80 busybox
create -p 80:0 busybox
create -p ::1:80:80 busybox
create -p 127.0.0.1:80 busybox
create -p foo:80:80 busybox
create -p published=80 busybox
create --mount type=foo,target=/x busybox
create --mount type=bind,target=/x busybox
create --mount type=bind,source=/x busybox
create --mount type=bind,source=/x,target=/y,foo=bar busybox
create --mount type=bind,source=/x,target=/y,readonly=x busybox
create --mount type=bind,source=/x,target=/y,bar busybox
create --mount type=tmpfs,target=/y,tmpfs-size=x busybox
create --mount type=tmpfs,target=/y,tmpfs-mode=9 busybox
create --mount type=tmpfs,source=/x,target=/y busybox
create --mount "" busybox
create --mount type=bind,source=/x,target=/y,bind-recursive=foo busybox
create --mount type=bind,source=/x,target=/y,bind-recursive=readonly busybox
create --mount type=image,source=x,target=/y busybox
create --ulimit nofile=x busybox
create --ulimit nofile=1:2:3 busybox
create --ulimit nofile=-1:5 busybox
create --ulimit foo=1 busybox
create --restart always:3 busybox
create --restart :3 busybox
create --restart on-failure: busybox
create --restart on-failure:-1 busybox
create --restart a:b:c busybox
create --health-interval -5s busybox
create --health-retries -5 busybox
create --network a=b busybox
create --network name=a,foo=b busybox
create --network alias=b busybox
create --network foo --network foo busybox
create --network foo,ip=1 busybox
create --network foo --ip x busybox
create --network name=foo,ip=1.2.3.4 --ip 1.2.3.5 busybox
create --network foo --network host busybox
create --mac-address 1:2:3 busybox
create --sysctl foo busybox
create --annotation foo busybox
create --log-opt foo busybox
create --storage-opt foo busybox
create --device a:b busybox
create --device /dev/a:/dev/b:x busybox
create --device-cgroup-rule x busybox
create --device-read-bps x:1 busybox
create --blkio-weight-device /dev/x:5 busybox
create --blkio-weight 99999 busybox
create --blkio-weight x busybox
create --pids-limit x busybox
create --cpus -1 busybox
create --cpus 1/2 busybox
create --cpus 0.0001 busybox
create --oom-score-adj 5000 busybox
create --add-host a: busybox
create --add-host :1.2.3.4 busybox
create --add-host a=b=c busybox
create --dns-search "" busybox
create --dns-search a_b! busybox
create --link "" busybox
create --env "" busybox
create -l "" busybox
create -l a=b=c busybox
create --pull foo busybox
create --stop-timeout x busybox
create --entrypoint "a b" busybox
create --pid container: busybox
create --cgroupns host busybox
network create foo
network create -d bar --subnet 10.0.0.0/8 --gateway 10.0.0.1 --ip-range 10.1.0.0/16 --aux-address a=10.0.0.5 --internal --attachable --ipv6 -o a=b --label c=d foo
network create --gateway 10.0.0.1 foo
network create --ip-range 10.0.0.0/16 foo
network create --subnet 10.0.0.0/8 --gateway 11.0.0.1 foo
network create --subnet foo foo
network create --ipv4=false --scope local --ipam-driver x --ipam-opt a=b foo
network connect --alias a --ip 1.2.3.4 --driver-opt a=b --link a:b --link-local-ip 169.254.1.1 --gw-priority 3 net con
network connect net con
network disconnect -f net con
kill a
kill -s 9 a
stop -t 5 a
stop -t -1 -s INT a
pause a
rename a b
exec -d con true
exec -d -e A=1 -e PATH -w /x -u 5 --privileged -t con sh -c x
exec -d -i con true
tag a localhost:5000/b:c
create -v /tmp:/a -v /c busybox
create -v vol:/b:ro busybox
create -v ./x:/y busybox
create -v .:/z:ro,z busybox
create -v /a::/b busybox
create -m 512m --memory-swap -1 --memory-reservation 1.5g --memory-swappiness 60 busybox
tag a localhost:5000/b:c
update --blkio-weight 300 --cpu-period 5000 --cpu-quota 2000 --cpu-rt-period 9 --cpu-rt-runtime 8 -c 7 a b
update --cpus 1.5 --cpuset-cpus 0-1 --cpuset-mems 0 -m 1g --memory-reservation 1m --memory-swap -1 --pids-limit -1 a
update --restart on-failure:3 a
update --restart always --kernel-memory 5m a
update --memory x a
"""


def _lines(text):
    return [line for line in text.strip().splitlines() if line]


@pytest.mark.parametrize("line", _lines(LINES))
def test_the_same_words_give_the_same_answer(both, dockerd, line):
    theirs, ours = both(shlex.split(line), dockerd)
    assert ours == theirs


# Values that mean "not said" wherever they stand, and the few fields where they mean something.
_NOTHING = (None, [], {}, "", 0, False, [0, 0])
_SAID = ("MaskedPaths", "ReadonlyPaths", "Init", "StopTimeout", "EnableIPv4", "EnableIPv6")


def _said(value, name=""):
    """What a request says, without what it leaves open."""
    if isinstance(value, dict) and name == "EndpointsConfig":
        return {key: _said(item) for key, item in value.items()}
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if item not in _NOTHING or (key in _SAID and item is not None)}
        return {key: _said(item, key) for key, item in kept.items()}
    return [_said(item) for item in value] if isinstance(value, list) else value


def _parts(path):
    route, _, query = path.partition("?")
    return route, sorted(query.split("&"))


def _in_order(requests):
    """As they came; those of one verb to several containers are under way at once, and may come in any order."""
    seen = [(method, _parts(path), _said(body)) for method, path, body in requests]
    runs = itertools.groupby(seen, lambda request: (request[0], request[1][0].rpartition("/")[2]))
    return [request for _, run in runs for request in sorted(run, key=lambda request: request[1])]


@pytest.mark.parametrize("line", _lines(REQUESTS))
def test_the_same_flags_make_the_same_request(both, recorder, line):
    theirs_seen = []

    def between():
        theirs_seen.extend(recorder.seen)
        recorder.seen.clear()

    theirs, ours = both(shlex.split(line), recorder.host, between)
    # After flags that cannot be read comes the verb's usage, in each program's own words.
    assert (ours[0], ours[1], ours[2].split("\n\nUsage")[0]) == (theirs[0], theirs[1], theirs[2].split("\n\nUsage")[0])
    assert _in_order(recorder.seen) == _in_order(theirs_seen)
