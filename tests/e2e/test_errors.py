"""Wrong requests are refused with the status and the words of dockerd 28.5, taken down from a real one.

A line is a request, ` => `, a status and the words. `400/500` is a mistake of the client's for which dockerd answers
500: Wherry says the same words with 400. `HOST / {…}` is a container of busybox to be created with that HostConfig.
`{running}` stands for the id of the container `running`, `{running:short}` for twelve digits of it; so do `{paused}`
(which is paused), `{exited}` (which has run), `{created}` (which has not), `{nolog}` (which logs to nowhere) and
`{image}`.
"""

import http.client
import json
import re
import socket
from urllib.parse import quote

import pytest

SHORT = 12
IMAGE = "busybox"
SECONDS = 30

CONTAINERS = r"""
POST /containers/running/unpause => 500 Container {running} is not paused
POST /containers/running/kill?signal=bad => 400 cannot kill container: running: invalid signal: bad
POST /containers/running/kill?signal=0 => 400 cannot kill container: running: invalid signal: 0
POST /containers/running/kill?signal=99 => 400 cannot kill container: running: the linux daemon does not support signal 99
POST /containers/running/stop?signal=bad => 400/500 cannot stop container: running: invalid signal: bad
POST /containers/running/restart?t=abc => 400/500 strconv.Atoi: parsing "abc": invalid syntax
POST /containers/running/stop?t=abc => 400/500 strconv.Atoi: parsing "abc": invalid syntax
POST /containers/running/start => 304
POST /containers/running/wait?condition=bad => 400 invalid condition: "bad"
GET /containers/running/logs => 400 Bad parameters: you must choose at least one stream
GET /containers/running/logs?stdout=1&since=abc => 400/500 strconv.ParseInt: parsing "abc": invalid syntax
GET /containers/running/logs?stdout=1&until=abc => 400/500 strconv.ParseInt: parsing "abc": invalid syntax
POST /containers/running/attach?detachKeys=ctrl-! => 400 Invalid detach keys (ctrl-!) provided
DELETE /containers/running => 409 cannot remove container "running": container is running: stop the container before removing or force remove
DELETE /containers/running?link=1 => 400/500 Conflict, cannot remove the default link name of the container
POST /containers/running/rename => 400 Neither old nor new names may be empty
POST /containers/running/rename?name=paused => 409 Error when allocating new name: Conflict. The container name "/paused" is already in use by container "{paused}". You have to remove (or rename) that container to be able to reuse that name.
POST /containers/running/rename?name=-bad => 400 Error when allocating new name: Invalid container name (/-bad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
POST /containers/running/rename?name=a => 400 Error when allocating new name: Invalid container name (/a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
POST /containers/running/rename?name=/bad/x => 400 Error when allocating new name: Invalid container name (/bad/x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
POST /containers/running/rename?name=running => 400 Renaming a container with the same name as its current name
POST /containers/paused/pause => 409 Container {paused} is already paused
POST /containers/paused/exec {"Cmd": ["true"]} => 409 Container paused is paused, unpause the container before exec
POST /containers/paused/stop?signal=bad => 400/500 cannot stop container: paused: invalid signal: bad
POST /containers/paused/start => 409 cannot start a paused container, try unpause instead
POST /containers/paused/attach?stream=1&stdout=1 => 409 container paused is paused, unpause the container before attach
DELETE /containers/paused => 409 cannot remove container "paused": container is paused and must be unpaused first
GET /containers/exited/top => 409 container {exited} is not running
POST /containers/exited/pause => 409 container {exited} is not running
POST /containers/exited/unpause => 500 Container {exited} is not paused
POST /containers/exited/exec {"Cmd": ["true"]} => 409 container {exited} is not running
POST /containers/exited/kill => 409 cannot kill container: exited: container {exited} is not running
POST /containers/exited/stop => 304
POST /containers/exited/stop?signal=bad => 304
GET /containers/nosuch/top => 404 No such container: nosuch
POST /containers/nosuch/pause => 404 No such container: nosuch
POST /containers/nosuch/unpause => 404 No such container: nosuch
POST /containers/nosuch/exec {"Cmd": ["true"]} => 404 No such container: nosuch
POST /containers/nosuch/kill => 404 cannot kill container: nosuch: No such container: nosuch
POST /containers/nosuch/stop => 404 No such container: nosuch
POST /containers/nosuch/wait?condition=bad => 400 invalid condition: "bad"
POST /v1.29/containers/nosuch/wait?condition=bad => 404 No such container: nosuch
GET /containers/nosuch/logs => 400 Bad parameters: you must choose at least one stream
GET /containers/nosuch/logs?stdout=1&since=abc => 404 No such container: nosuch
DELETE /containers/nosuch => 404 No such container: nosuch
DELETE /containers/nosuch?link=1 => 404 No such container: nosuch
GET /containers/nosuch/json => 404 No such container: nosuch
GET /containers//json => 301
DELETE /containers/{running:short} => 409 cannot remove container "{running:short}": container is running: stop the container before removing or force remove
DELETE /containers/{running} => 409 cannot remove container "{running}": container is running: stop the container before removing or force remove
DELETE /containers/{running:6} => 409 cannot remove container "{running:6}": container is running: stop the container before removing or force remove
POST /containers/{running:short}/kill?signal=bad => 400 cannot kill container: {running:short}: invalid signal: bad
POST /containers/{exited:short}/kill => 409 cannot kill container: {exited:short}: container {exited} is not running
POST /containers/{running:short}/rename?name=paused => 409 Error when allocating new name: Conflict. The container name "/paused" is already in use by container "{paused}". You have to remove (or rename) that container to be able to reuse that name.
POST /containers/{paused:short}/pause => 409 Container {paused} is already paused
POST /containers/{running:short}/unpause => 500 Container {running} is not paused
POST /containers/{exited:short}/pause => 409 container {exited} is not running
POST /containers/running/resize?h=a&w=2 => 400 invalid resize height "a": invalid syntax
POST /containers/running/resize?h=-&w=2 => 400 invalid resize height "-": invalid syntax
POST /containers/running/resize?h=-5&w=2 => 400 invalid resize height "-5": value out of range
POST /containers/running/resize => 400 invalid resize height "": invalid syntax
POST /containers/running/resize?h=10 => 400 invalid resize width "": invalid syntax
POST /containers/running/start {"Binds": []} => 400 starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24
POST /containers/running/exec {} => 400 No exec command specified
POST /containers/running/exec {"Cmd": []} => 400 No exec command specified
POST /containers/running/exec => 400 No exec command specified
POST /containers/running/exec {"Cmd": ["true"], "DetachKeys": "bad-!"} => 400/500 Invalid escape keys (bad-!) provided
POST /containers/running/exec {"Cmd": "true", "User": 5} => 400 invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Cmd of type []string
POST /containers/running/exec {"Cmd": ["true"], "Env": "x"} => 400 invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Env of type []string
POST /containers/exited/exec {} => 400 No exec command specified
POST /exec/nosuch/start {} => 404 No such exec instance: nosuch
POST /exec/nosuch/start => 404 No such exec instance: nosuch
GET /exec/nosuch/json => 404 No such exec instance: nosuch
POST /exec/nosuch/resize?h=1&w=1 => 404 No such exec instance: nosuch
POST /exec/nosuch/resize?h=a&w=1 => 400 invalid resize height "a": invalid syntax
GET /containers/nolog/logs?stdout=1 => 501 configured logging driver does not support reading
GET /containers/nolog/logs?stdout=1&follow=1 => 501 configured logging driver does not support reading
GET /containers/nolog/logs => 400 Bad parameters: you must choose at least one stream
GET /containers/running/attach/ws => 400 not websocket protocol
"""  # noqa: E501 - one request is one line

LISTS = r"""
GET /containers/json?all=1&filters={"status":["bad"]} => 400 invalid filter 'status=bad': invalid value for state (bad): must be one of created, running, paused, restarting, removing, exited, dead
GET /containers/json?all=1&filters={"bad":["x"]} => 400 invalid filter 'bad'
GET /containers/json?all=1&filters=xx => 400 invalid filter
GET /containers/json?all=1&filters={"health":["bad"]} => 400 invalid filter 'health=bad': invalid value for health (bad): must be one of none, starting, healthy, unhealthy
GET /containers/json?all=1&filters={"exited":["a"]} => 400 invalid filter 'exited=a': strconv.Atoi: parsing "a": invalid syntax
GET /containers/json?all=1&filters={"before":["nosuch"]} => 404 No such container: nosuch
GET /containers/json?all=1&filters={"since":["nosuch"]} => 404 No such container: nosuch
GET /containers/json?all=1&filters={"is-task":["bad"]} => 400 invalid filter 'is-task=[bad]'
GET /containers/json?all=1&filters={"publish":["bad"]} => 400/500 error while looking up for publish bad: strconv.ParseUint: parsing "bad": invalid syntax
GET /containers/json?all=1&filters={"expose":["bad/x"]} => 400/500 error while looking up for expose bad/x: strconv.ParseUint: parsing "bad": invalid syntax
GET /containers/json?all=1&filters={"status":"x"} => 400 invalid filter
GET /containers/json?all=1&filters=[] => 400 invalid filter
GET /containers/json?all=1&filters={"id":["x","y"],"status":["created","no"]} => 400 invalid filter 'status=no': invalid value for state (no): must be one of created, running, paused, restarting, removing, exited, dead
GET /images/json?filters={"bad":["x"]} => 400 invalid filter 'bad'
GET /images/json?filters=xx => 400 invalid filter
GET /images/json?filters={"dangling":["x"]} => 400 invalid filter 'dangling=[x]'
GET /images/json?filters={"before":["nosuch"]} => 404 No such image: nosuch:latest
GET /images/json?filters={"since":["nosuch"]} => 404 No such image: nosuch:latest
GET /images/json?filters={"until":["x"]} => 400/500 failed to parse value as time or duration: "x"
GET /volumes?filters={"bad":["x"]} => 400 invalid filter 'bad'
GET /volumes?filters=xx => 400 error reading volume filters: invalid filter
GET /volumes?filters={"dangling":["x"]} => 400 invalid filter 'dangling=[x]'
GET /volumes?filters={"dangling":["true","false"]} => 400 invalid filter 'dangling=[true false]'
GET /networks?filters={"bad":["x"]} => 400 invalid filter 'bad'
GET /networks?filters=xx => 400 invalid filter
GET /networks?filters={"dangling":["x"]} => 400 invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")
GET /networks?filters={"type":["x"]} => 400/500 invalid filter: 'type'='x'
GET /events?since=0&until=1&filters=xx => 400 invalid filter
GET /events?since=2&until=1 => 400 `since` time (2) cannot be after `until` time (1)
GET /events?since=abc => 400/500 strconv.ParseInt: parsing "abc": invalid syntax
GET /events?since=0&until=abc => 400/500 strconv.ParseInt: parsing "abc": invalid syntax
GET /containers/json?limit=abc => 400/500 strconv.Atoi: parsing "abc": invalid syntax
PUT /containers/json => 404 page not found
GET /containers/json/ => 404 page not found
"""  # noqa: E501 - one request is one line

IMAGES = r"""
GET /images/nosuch/json => 404 No such image: nosuch:latest
GET /images/nosuch:5/json => 404 No such image: nosuch:5
GET /images/UPPER/json => 400 invalid reference format: repository name (library/UPPER) must be lowercase
GET /images/nosuch/history => 404 No such image: nosuch:latest
GET /images/nosuch/get => 404 No such image: nosuch
GET /images/get?names=nosuch => 404 No such image: nosuch
GET /images/get?names=busybox&names=nosuch => 404 No such image: nosuch
POST /images/nosuch/tag?repo=x => 404 No such image: nosuch:latest
POST /images/busybox/tag?repo=UPPER => 400 invalid reference format: repository name (library/UPPER) must be lowercase
POST /images/busybox/tag?repo=x&tag=a%20b => 400 invalid tag format
POST /images/busybox/tag?repo=x&tag=a:b => 400 invalid tag format
POST /images/busybox/tag?repo=sha256 => 400 refusing to create an ambiguous tag using digest algorithm as name
POST /images/busybox/tag?repo=0000000000000000000000000000000000000000000000000000000000000000 => 400 invalid repository name (0000000000000000000000000000000000000000000000000000000000000000), cannot specify 64-byte hexadecimal strings
DELETE /images/nosuch => 404 No such image: nosuch:latest
DELETE /images/UPPER => 400 invalid reference format: repository name (library/UPPER) must be lowercase
DELETE /images/busybox:nosuch => 404 No such image: busybox:nosuch
POST /images/UPPER/push => 400 invalid reference format: repository name (library/UPPER) must be lowercase
POST /images/create?fromImage=UPPER => 400 invalid reference format: repository name (library/UPPER) must be lowercase
POST /images/create?fromImage=x&tag=a%20b => 400 invalid tag format
POST /images/create?fromSrc=-&repo=UPPER => 400 invalid reference format: repository name (library/UPPER) must be lowercase
POST /images/create?fromSrc=-&repo=a&tag=a%20b => 400 invalid tag format
POST /images/create?fromSrc=-&repo=x&changes=BAD+x => 400 BAD is not a valid change command
POST /images/create?fromSrc=-&repo=x&changes=RUN+x => 400 RUN is not a valid change command
POST /images/create?fromSrc=-&repo=x&changes=EXPOSE => 400 EXPOSE requires at least one argument
POST /commit?container=exited&changes=# => 400 file with no instructions
POST /commit?container=exited&changes=RUN+x => 400 RUN is not a valid change command
GET /images/busybox/json?platform=x => 400 failed to parse platform: invalid character 'x' looking for beginning of value
GET /images/busybox/json?platform={"os":"linux","architecture":"arm64"} => 404 image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)
GET /images/busybox/get?platform={"os":"linux","architecture":"arm64"} => 400/500 no suitable export target found for platform linux/arm64
GET /containers/json?limit=%zz => 400 invalid URL escape "%zz"
GET /containers/json?limit=1;all=1 => 400 invalid semicolon separator in query
POST /auth {"serveraddress": "http://["} => 400 unable to parse server address: parse "http://[": missing ']' in host
POST /auth {"serveraddress": "host:x"} => 400 unable to parse server address: parse "https://host:x": invalid port ":x" after host
GET /images/busybox/get?platform=x => 400 failed to parse platform: invalid character 'x' looking for beginning of value
GET /images/busybox/history?platform={"os":"linux","architecture":"arm64"} => 404 image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)
DELETE /images/busybox?platforms=x => 400 failed to parse platform: invalid character 'x' looking for beginning of value
GET /images/sha256:0000000000000000000000000000000000000000000000000000000000000000/json => 404 No such image: sha256:0000000000000000000000000000000000000000000000000000000000000000
GET /images/0000000000000000000000000000000000000000000000000000000000000000/json => 404 No such image: sha256:0000000000000000000000000000000000000000000000000000000000000000
DELETE /images/{exited:short} => 404 No such image: {exited:short}:latest
GET /volumes/nosuch => 404 get nosuch: no such volume
DELETE /volumes/nosuch => 404 get nosuch: no such volume
DELETE /volumes/used => 409 remove used: volume is in use - [{running}]
DELETE /volumes/used?force=1 => 409 remove used: volume is in use - [{running}]
GET /volumes/a%20b => 404 get a b: no such volume
DELETE /volumes/a%20b => 404 get a b: no such volume
GET /networks/nosuch => 404 network nosuch not found
GET /networks/none?verbose=x => 400 invalid value for verbose: x: strconv.ParseBool: parsing "x": invalid syntax
GET /networks/none?scope=x => 404 network none not found
GET /networks/none?scope=swarm => 404 network none not found
GET /system/df?type=bad => 400 unknown object type: bad
GET /nosuch => 404 page not found
GET /v1.23/containers/json => 400 client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version
GET /v1.99/containers/json => 400 client version 1.99 is too new. Maximum supported API version is 1.51
GET /swarm => 503 This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.
GET /nodes => 503 This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.
GET /plugins/nosuch/json => 404 plugin "nosuch" not found
POST /volumes/create {"Name": "a b"} => 400 create a b: "a b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path
POST /volumes/create {"Name": "-x"} => 400 create -x: "-x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path
POST /volumes/create {"Name": "a"} => 400 create a: volume name is too short, names should be at least two alphanumeric characters
POST /volumes/create {"Name": "../x"} => 400 create ../x: "../x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path
POST /volumes/create {"Name": "oo", "DriverOpts": {"bad": "x"}} => 400 create oo: invalid option: "bad"
POST /volumes/create {"Name": "oo", "DriverOpts": {"type": "tmpfs"}} => 400 create oo: missing required option: "device"
POST /volumes/create {"Name": "oo", "DriverOpts": {"o": "size=1"}} => 400 create oo: missing required option: "device"
POST /volumes/create {"Name": 5} => 400 invalid JSON: json: cannot unmarshal number into Go struct field CreateOptions.Name of type string
POST /volumes/create {"DriverOpts": {"a": 5}} => 400 invalid JSON: json: cannot unmarshal number into Go struct field CreateOptions.DriverOpts.a of type string
POST /volumes/create {"Name": "oo2", "DriverOpts": {"device": "/nosuch", "o": "bind"}} => 400 create oo2: missing required option: "type"
POST /volumes/create {"Name": "oo3", "ClusterVolumeSpec": {}} => 503 This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.
"""  # noqa: E501 - one request is one line

CREATE = r"""
GET /containers/created/top => 409 container {created} is not running
POST /containers/created/pause => 409 container {created} is not running
POST /containers/created/unpause => 500 Container {created} is not paused
POST /containers/created/exec {"Cmd": ["true"]} => 409 container {created} is not running
POST /containers/created/kill => 409 cannot kill container: created: container {created} is not running
POST /containers/created/stop => 304
POST /containers/created/stop?signal=bad => 304
POST /containers/create => 400 invalid JSON: got EOF while reading request body
POST /containers/create {} => 400 config cannot be empty in order to create a container
POST /containers/create {"Image": ""} => 400 no command specified
POST /containers/create {"Image": "nosuch"} => 404 No such image: nosuch:latest
POST /containers/create {"Image": "nosuch:5"} => 404 No such image: nosuch:5
POST /containers/create {"Image": "UPPER"} => 400 invalid reference format: repository name (library/UPPER) must be lowercase
POST /containers/create {"Image": "a b"} => 400 invalid reference format
POST /containers/create {"Image": "nosuch", "Cmd": ["x"], "Env": ["=x"]} => 400 invalid environment variable: =x
POST /containers/create {"Image": "sha256:0000000000000000000000000000000000000000000000000000000000000000"} => 404 No such image: sha256:0000000000000000000000000000000000000000000000000000000000000000
POST /containers/create {"Image": "busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000"} => 404 No such image: busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000
POST /containers/create {"Image": "0000000000000000000000000000000000000000000000000000000000000000"} => 404 No such image: sha256:0000000000000000000000000000000000000000000000000000000000000000
POST /containers/create?name=running {"Image": "busybox"} => 409 Conflict. The container name "/running" is already in use by container "{running}". You have to remove (or rename) that container to be able to reuse that name.
POST /containers/create?name=/running {"Image": "busybox"} => 409 Conflict. The container name "/running" is already in use by container "{running}". You have to remove (or rename) that container to be able to reuse that name.
POST /containers/create?name=-bad {"Image": "busybox"} => 400 Invalid container name (-bad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
POST /containers/create?name=a {"Image": "busybox"} => 400 Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
POST /containers/create?name=a/b {"Image": "busybox"} => 400 Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
POST /containers/create?name=/ {"Image": "busybox"} => 400 Invalid container name (/), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
POST /containers/create?platform=linux/arm64 {"Image": "busybox"} => 404 image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)
POST /containers/create?platform=windows/amd64 {"Image": "busybox"} => 404 image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (windows/amd64)
POST /containers/create?platform=linux/arm64 {"Image": "nosuch"} => 404 No such image: nosuch:latest
POST /containers/create?platform=linux/arm64/v8 {"Image": "busybox"} => 404 image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64/v8)
POST /containers/create?platform=arm {"Image": "busybox"} => 404 image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm)
POST /containers/create {"Image": "busybox", "Env": ["=x"]} => 400 invalid environment variable: =x
POST /containers/create {"Image": "busybox", "Env": [""]} => 400 invalid environment variable:
POST /containers/create {"Image": "busybox", "WorkingDir": "rel"} => 400 the working directory 'rel' is invalid, it needs to be an absolute path
POST /containers/create {"Image": "busybox", "StopSignal": "bad"} => 400 invalid signal: bad
POST /containers/create {"Image": "busybox", "Entrypoint": [""], "Cmd": null} => 400 no command specified
POST /containers/create {"Image": "busybox", "Entrypoint": [""], "Cmd": []} => 400 no command specified
POST /containers/create {"Image": "busybox", "Entrypoint": [""]} => 400 no command specified
HOST / {"RestartPolicy": {"Name": "bad"}} => 400 invalid restart policy: unknown policy 'bad'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'
HOST / {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}} => 400 invalid restart policy: maximum retry count can only be used with 'on-failure'
HOST / {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -2}} => 400 invalid restart policy: maximum retry count cannot be negative
HOST / {"RestartPolicy": {"Name": "always"}, "AutoRemove": true} => 400 can't create 'AutoRemove' container with restart policy
HOST / {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 2}} => 400 invalid restart policy: maximum retry count can only be used with 'on-failure'
HOST / {"RestartPolicy": {"Name": "", "MaximumRetryCount": 2}} => 400 invalid restart policy: maximum retry count can only be used with 'on-failure'
HOST / {"Binds": ["rel/x:/y"]} => 400 create rel/x: "rel/x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path
HOST / {"Binds": ["x:y"]} => 400/500 invalid volume specification: 'x:y': invalid mount config for type "volume": invalid mount path: 'y' mount path must be absolute
HOST / {"Binds": ["/x:/"]} => 400/500 invalid volume specification: '/x:/': invalid mount config for type "bind": invalid specification: destination can't be '/'
HOST / {"Binds": ["/a:/b:bad"]} => 400/500 invalid mode: bad
HOST / {"Binds": ["/a:/b:ro:z"]} => 400/500 invalid volume specification: '/a:/b:ro:z'
HOST / {"Binds": [":"]} => 400/500 invalid volume specification: ':'
HOST / {"Binds": ["/a:/b:ro,rw"]} => 400/500 invalid mode: ro,rw
HOST / {"Binds": ["a b:/x"]} => 400 create a b: "a b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path
HOST / {"Binds": ["a:/x"]} => 400 create a: volume name is too short, names should be at least two alphanumeric characters
HOST / {"Binds": ["v1:/x", "v2:/x"]} => 400 Duplicate mount point: /x
HOST / {"Binds": ["v1:/x:rslave"]} => 400/500 invalid volume specification: 'v1:/x:rslave': invalid mount config for type "volume": field BindOptions must not be specified
HOST / {"Binds": ["/tmp:/x:nocopy"]} => 400/500 invalid volume specification: '/tmp:/x:nocopy': invalid mount config for type "bind": field VolumeOptions must not be specified
HOST / {"Binds": [""]} => 400/500 invalid volume specification: ''
HOST / {"Binds": ["/tmp:x"]} => 400/500 invalid volume specification: '/tmp:x': invalid mount config for type "bind": invalid mount path: 'x' mount path must be absolute
HOST / {"Binds": ["/:"]} => 400/500 invalid volume specification: '/:'
HOST / {"Mounts": [{"Type": "bind", "Source": "/nosuch", "Target": "/x"}]} => 400 invalid mount config for type "bind": bind source path does not exist: /nosuch
HOST / {"Mounts": [{"Type": "bind", "Source": "rel", "Target": "/x"}]} => 400 invalid mount config for type "bind": invalid mount path: 'rel' mount path must be absolute
HOST / {"Mounts": [{"Type": "bind", "Target": "/x"}]} => 400 invalid mount config for type "bind": field Source must not be empty
HOST / {"Mounts": [{"Type": "bad", "Target": "/x"}]} => 400 invalid mount config for type "bad": mount type unknown
HOST / {"Mounts": [{"Type": "volume", "Source": "x"}]} => 400 invalid mount config for type "volume": field Target must not be empty
HOST / {"Mounts": [{"Type": "volume", "Source": "a b", "Target": "/x"}]} => 400 create a b: "a b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path
HOST / {"Mounts": [{"Type": "tmpfs", "Source": "x", "Target": "/x"}]} => 400 invalid mount config for type "tmpfs": field Source must not be specified
HOST / {"Mounts": [{"Type": "tmpfs", "Target": "/"}]} => 400 invalid mount config for type "tmpfs": invalid specification: destination can't be '/'
HOST / {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "rel"}]} => 400 invalid mount config for type "bind": invalid mount path: 'rel' mount path must be absolute
HOST / {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/x", "BindOptions": {"Propagation": "bad"}}]} => 400 invalid mount config for type "bind": invalid propagation mode: bad
HOST / {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/x", "VolumeOptions": {}}]} => 400 VolumeOptions must not be specified on mount type "bind"
HOST / {"Mounts": [{"Type": "volume", "Source": "vv", "Target": "/x", "BindOptions": {}}]} => 400 BindOptions must not be specified on mount type "volume"
HOST / {"Mounts": [{"Type": "tmpfs", "Target": "/x", "BindOptions": {}}]} => 400 BindOptions must not be specified on mount type "tmpfs"
HOST / {"Mounts": [{"Type": "tmpfs", "Target": "/x", "VolumeOptions": {}}]} => 400 VolumeOptions must not be specified on mount type "tmpfs"
HOST / {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/x"}, {"Type": "tmpfs", "Target": "/x"}]} => 400 Duplicate mount point: /x
HOST / {"Mounts": [{}]} => 400 invalid mount config for type "": field Target must not be empty
HOST / {"Tmpfs": {"rel": ""}} => 400 invalid mount path: 'rel' mount path must be absolute
HOST / {"Tmpfs": {"/": ""}} => 400 invalid specification: destination can't be '/'
HOST / {"VolumesFrom": ["nosuch"]} => 400 No such container: nosuch
HOST / {"VolumesFrom": ["running:bad"]} => 400 invalid mode: bad
HOST / {"VolumesFrom": ["running:rslave"]} => 400 invalid mode: rslave
HOST / {"VolumesFrom": ["running:nocopy"]} => 400 invalid mode: nocopy
HOST / {"VolumesFrom": [""]} => 400 volumes-from specification cannot be an empty string
HOST / {"NetworkMode": "container:"} => 400 invalid network mode: invalid container format container:<name|id>
HOST / {"PidMode": "bad"} => 400 invalid PID mode: bad
HOST / {"PidMode": "container:nosuch"} => 400 No such container: nosuch
HOST / {"PidMode": "container:"} => 400 invalid PID mode: container:
HOST / {"IpcMode": "bad"} => 400 invalid IPC mode: bad
HOST / {"IpcMode": "container:nosuch"} => 400 No such container: nosuch
HOST / {"UTSMode": "bad"} => 400 invalid UTS mode: bad
HOST / {"CgroupnsMode": "bad"} => 400 invalid cgroup namespace mode: bad
HOST / {"Isolation": "bad"} => 400 invalid isolation (bad): linux only supports 'default'
HOST / {"Runtime": "bad"} => 400 unknown or invalid runtime name: bad
HOST / {"LogConfig": {"Type": "bad"}} => 400 error looking up logging plugin bad: plugin "bad" not found
HOST / {"LogConfig": {"Type": "json-file", "Config": {"bad": "x"}}} => 400 unknown log opt 'bad' for json-file log driver
HOST / {"Memory": 1} => 400 Minimum memory limit allowed is 6MB
HOST / {"Memory": -5} => 400 Minimum memory limit allowed is 6MB
HOST / {"MemorySwap": 100} => 400 You should always set the Memory limit when using Memoryswap limit, see usage
HOST / {"Memory": 10000000, "MemorySwap": 100} => 400 Minimum memoryswap limit should be larger than memory limit, see usage
HOST / {"MemoryReservation": 1} => 400 Minimum memory reservation allowed is 6MB
HOST / {"Memory": 10000000, "MemoryReservation": 20000000} => 400 Minimum memory limit can not be less than memory reservation limit, see usage
HOST / {"MemorySwappiness": 200} => 400 Invalid value: 200, valid memory swappiness range is 0-100
HOST / {"MemorySwappiness": -2} => 400 Invalid value: -2, valid memory swappiness range is 0-100
HOST / {"NanoCpus": 1000000000, "CpuPeriod": 1000} => 400 Conflicting options: Nano CPUs and CPU Period cannot both be set
HOST / {"NanoCpus": 1000000000, "CpuQuota": 1000} => 400 Conflicting options: Nano CPUs and CPU Quota cannot both be set
HOST / {"CpuShares": -1} => 400 invalid CPU shares (-1): value must be a positive integer
HOST / {"CpuPeriod": 1} => 400 CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)
HOST / {"CpuPeriod": -1} => 400 CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)
HOST / {"CpuQuota": 1} => 400 CPU cfs quota can not be less than 1ms (i.e. 1000)
HOST / {"CpusetCpus": "x"} => 400 Invalid value x for cpuset cpus: invalid format: x
HOST / {"CpusetMems": "x"} => 400 Invalid value x for cpuset mems: invalid format: x
HOST / {"OomScoreAdj": 2000} => 400 Invalid value 2000, range for oom score adj is [-1000, 1000]
HOST / {"ShmSize": -1} => 400 SHM size can not be less than 0
HOST / {"CapAdd": ["bad"]} => 400 invalid CapAdd: unknown capability: "CAP_BAD"
HOST / {"CapDrop": ["bad"]} => 400 invalid CapDrop: unknown capability: "CAP_BAD"
HOST / {"SecurityOpt": ["bad"]} => 400/500 invalid --security-opt 1: "bad"
HOST / {"SecurityOpt": ["bad=x"]} => 400/500 invalid --security-opt 2: "bad=x"
HOST / {"SecurityOpt": ["no-new-privileges=x"]} => 400/500 invalid --security-opt 2: "no-new-privileges=x"
HOST / {"SecurityOpt": ["apparmor"]} => 400/500 invalid --security-opt 1: "apparmor"
HOST / {"ExtraHosts": ["bad"]} => 400 bad format for add-host: "bad"
HOST / {"ExtraHosts": ["a:bad"]} => 400 invalid IP address in add-host: "bad"
HOST / {"PortBindings": {"bad": [{}]}} => 400 invalid port specification: "bad"
HOST / {"PortBindings": {"80/tcp": [{"HostPort": "bad"}]}} => 400 invalid port specification: "bad"
HOST / {"PortBindings": {"80/tcp": [{"HostPort": "99999"}]}} => 400 invalid port specification: "99999"
HOST / {"PortBindings": {"80/tcp": [{"HostPort": "10-5"}]}} => 400 invalid port specification: "10-5"
POST /containers/running/update [] => 400 invalid JSON: json: cannot unmarshal array into Go value of type container.UpdateConfig
HOST / {"Annotations": {"": "x"}} => 400 invalid Annotations: the empty string is not permitted as an annotation key
HOST / {"NetworkMode": "container:running", "Dns": ["1.1.1.1"]} => 400 conflicting options: dns and the network mode
HOST / {"NetworkMode": "container:running", "PortBindings": {"80/tcp": [{}]}} => 400 conflicting options: port publishing and the container type network mode
HOST / {"NetworkMode": "container:running", "ExtraHosts": ["a:1.1.1.1"]} => 400 conflicting options: custom host-to-IP mapping and the network mode
HOST / {"NetworkMode": "container:running", "PublishAllPorts": true} => 400 conflicting options: port publishing and the container type network mode
HOST / {"UTSMode": "container:running"} => 400 invalid UTS mode: container:running
POST /containers/create {"Image": "busybox", "Hostname": "x", "HostConfig": {"NetworkMode": "container:running"}} => 400 conflicting options: hostname and the network mode
POST /containers/create {"Image": "busybox", "Hostname": "x", "HostConfig": {"UTSMode": "host", "NetworkMode": "none"}} => 400 conflicting options: hostname and the UTS mode
POST /containers/create {"Image": "busybox", "ExposedPorts": {"80/tcp": {}}, "HostConfig": {"NetworkMode": "container:running"}} => 400 conflicting options: port exposing and the container type network mode
POST /containers/create {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"none": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}}}} => 400 invalid config for network none: invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* user specified IP address is supported only when connecting to networks with user configured subnets
POST /containers/create {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"none": {"IPAMConfig": {"IPv4Address": "bad"}}}}} => 400 invalid config for network none: invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* invalid IPv4 address: bad\n* user specified IP address is supported only when connecting to networks with user configured subnets
"""  # noqa: E501 - one request is one line


class Connection(http.client.HTTPConnection):
    """HTTP over the daemon's socket, as plain as it can be."""

    def __init__(self, path):
        super().__init__("docker", timeout=SECONDS)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.path)


class House:
    """A daemon with one container in each state; knows their ids."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.ids = {}

    def ask(self, method, target, body=None):
        connection = Connection(self.daemon.socket)
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, target, sent, {"Content-Type": "application/json"} if sent else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def make(self, name, *command, **host_config):
        body = {"Image": IMAGE, "Cmd": command, "HostConfig": {"NetworkMode": "none", **host_config}}
        status, told = self.ask("POST", f"/containers/create?name={name}", body)
        assert status == 201, told
        self.ids[name] = json.loads(told)["Id"]

    def do(self, name, *verbs):
        for verb in verbs:
            status, told = self.ask("POST", f"/containers/{name}/{verb}")
            assert status in {200, 204}, told

    def furnish(self):
        assert self.ask("POST", "/volumes/create", {"Name": "used"})[0] == 201
        self.make("running", "sleep", "1000", Binds=["used:/used"])
        self.make("paused", "sleep", "1000")
        self.make("exited", "true")
        self.make("created", "true")
        self.make("nolog", "sleep", "1000", LogConfig={"Type": "none"})
        self.do("running", "start")
        self.do("paused", "start", "pause")
        self.do("exited", "start", "wait")
        self.do("nolog", "start")
        self.ids["image"] = json.loads(self.ask("GET", f"/images/{IMAGE}/json")[1])["Id"].partition(":")[2]

    def with_ids(self, text):
        def whole(match):
            name, _, length = match.group(1).partition(":")
            identifier = self.ids[name]
            return identifier[: {"": None, "short": SHORT}.get(length, int(length) if length.isdecimal() else None)]

        return re.sub(r"\{((?:running|paused|exited|created|nolog|image)(?::\w+)?)\}", whole, text)

    def refusal(self, request):
        method, target, *body = self.with_ids(request).split(" ", 2)
        said = json.loads(body[0]) if body else None
        if method == "HOST":
            method, target, said = "POST", "/containers/create", {"Image": IMAGE, "HostConfig": said}
        status, told = self.ask(method, quote(target, safe="/?&=%:@,!+-._~;"), said)
        if status == 201 and target.startswith("/containers/create"):
            self.ask("DELETE", f"/containers/{json.loads(told)['Id']}?force=1")
        return f"{status} {_message(told)}".rstrip()


def _message(told):
    try:
        return json.loads(told)["message"].replace("\n", "\\n")
    except (ValueError, KeyError, TypeError):
        return told.strip()


@pytest.fixture
def house(daemon):
    house = House(daemon)
    house.furnish()
    yield house
    house.do("paused", "unpause")


@pytest.mark.parametrize("table", [CONTAINERS, LISTS, IMAGES, CREATE], ids=["containers", "lists", "images", "create"])
def test_a_wrong_request_is_refused_in_dockerds_words(house, table):
    different = []
    for line in table.strip().splitlines():
        request, _, wanted = line.partition(" => ")
        expected = re.sub(r"^(\d+)/500", r"\1", house.with_ids(wanted))
        found = house.refusal(request)
        if found != expected:
            different.append(f"{request}\n  dockerd {expected}\n  Wherry  {found}")
    assert not different, "\n".join(different)
    assert ' stack="' not in house.daemon.log.read_text()


def test_a_port_that_is_taken_is_no_conflict(daemon):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        house = House(daemon)
        house.make(
            "box",
            "true",
            NetworkMode="bridge",
            PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]},
        )
        status, told = house.ask("POST", "/containers/box/start")
    assert status == 500
    assert f"failed to bind host port for 127.0.0.1:{port}:" in told
    assert "address already in use" in told


def test_a_program_that_cannot_run_is_400_and_a_broken_container_500(daemon):
    house = House(daemon)
    house.make("nosuch", "nosuch")
    status, told = house.ask("POST", "/containers/nosuch/start")
    assert (status, _message(told).rpartition("init: ")[2]) == (
        400,
        'exec: "nosuch": executable file not found in $PATH',
    )
    house.make("odd", "true", Tmpfs={"/x": "size=zz"})
    status, told = house.ask("POST", "/containers/odd/start")
    assert status == 500
    assert 'error mounting "tmpfs" to rootfs at "/x"' in _message(told)


def test_what_a_start_finds_missing_is_said_in_dockerds_words(daemon):
    house = House(daemon)
    house.make("lost", "true", NetworkMode="nosuch")
    assert house.refusal("POST /containers/lost/start") == (
        "404 failed to set up container networking: network nosuch not found"
    )
    house.make("alone", "true", NetworkMode="container:nosuch")
    assert house.refusal("POST /containers/alone/start") == (
        "400 joining network namespace of container: No such container: nosuch"
    )
    body = {"Image": IMAGE, "Cmd": ["true"], "Hostname": "a" * 65, "HostConfig": {"NetworkMode": "none"}}
    assert house.ask("POST", "/containers/create?name=long", body)[0] == 201
    status, told = house.ask("POST", "/containers/long/start")
    assert status == 500
    assert _message(told).count("error during container init") == 1
    assert _message(told).endswith(": invalid argument")


def test_execs_are_refused_in_dockerds_words(house):
    def create(name, **options):
        status, told = house.ask("POST", f"/containers/{name}/exec", {"Cmd": ["true"], **options})
        return status, json.loads(told).get("Id", _message(told))

    assert create("running", User="nosuch") == (400, "unable to find user nosuch: no matching entries in passwd file")
    _, unknown = create("running", Cmd=["nosuch"])
    started = "OCI runtime exec failed: exec failed: unable to start container process"
    words = f'{started}: exec: "nosuch": executable file not found in $PATH'
    assert house.refusal(f'POST /exec/{unknown}/start {{"Detach": true}}') == f"400 {words}"
    assert (
        house.refusal(f'POST /exec/{unknown}/start {{"Detach": true}}') == f"409 exec command {unknown} has already run"
    )
    assert house.refusal(f"POST /exec/{unknown}/resize?h=1&w=1") == "400 exec process is not started"
    _, waiting = create("running")
    house.do("running", "pause")
    paused = f"409 Container {house.ids['running']} is paused, unpause the container before exec"
    assert house.refusal(f"POST /exec/{waiting}/start {{}}") == paused
    house.do("running", "unpause", "kill")
    assert house.refusal(f"POST /exec/{waiting}/start {{}}") == f"404 No such exec instance: {waiting}"
