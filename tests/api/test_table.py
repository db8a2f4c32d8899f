"""The table of the API in docs/api.md: what is served of what Docker's schema describes, asked of a real daemon.

`engine_api.json` holds the schema's facts: operations with their query parameters, fields of requests and of answers;
`engine_examples.json` a value for each field that can be asked for.
After serving something new run `WRITE_API_TABLE=1 pytest tests/api/test_table.py`; no list here has to be changed.
"""

import ast
import inspect
import json
import os
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from wherry.api.routes import refused
from wherry.api.routes.table import all_routes

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox-static")

SCHEMA = json.loads(Path(__file__).with_name("engine_api.json").read_text())
EXAMPLES_SAID = json.loads(Path(__file__).with_name("engine_examples.json").read_text())
DOCUMENT = Path(__file__).parents[2] / "docs/api.md"
OPERATIONS, REQUESTS, ANSWERS = SCHEMA["operations"], SCHEMA["requests"], SCHEMA["answers"]
CREATE, UPDATE = "POST /containers/create", "POST /containers/{id}/update"
EXEC, EXEC_START = "POST /containers/{id}/exec", "POST /exec/{id}/start"
COMMIT, STATS = "POST /commit", "GET /containers/{id}/stats"
INSPECT, LIST = "GET /containers/{id}/json", "GET /containers/json"

ROUTES = all_routes()

# Query parameters that a served operation need not read, and why.
UNREAD = {
    ("POST /containers/{id}/start", "detachKeys"): "dockerd reads it and does nothing with it",
    ("GET /system/df", "verbose"): "newer than 1.51",
    ("GET /images/json", "identity"): "newer than 1.51",
    ("GET /images/json", "digests"): "digests are always shown, as with dockerd",
    ("GET /images/json", "manifests"): "dockerd, too, has manifests in containerd's image store only",
    ("GET /images/{name}/json", "manifests"): "dockerd, too, has manifests in containerd's image store only",
    ("POST /images/{name}/push", "platform"): "dockerd, too, has platforms in containerd's image store only",
    ("GET /plugins", "filters"): "there are no plugins",
    **{("POST /build/prune", name): "there is no build cache" for name in OPERATIONS["POST /build/prune"]},
}


def examples():
    """Each field of the request to create, by its path: a request that says it and little else."""
    base = {"Image": "busybox", "Cmd": ["true"]}
    found = {name: {**base, name: value} for name, value in EXAMPLES_SAID["config"].items()}
    for name, value in EXAMPLES_SAID["host"].items():
        found[f"HostConfig.{name}"] = {**base, "HostConfig": {name: value}}
    image = {"Type": "image", "Source": "busybox", "Target": "/d", "ImageOptions": {"Subpath": "bin"}}
    part = {"Type": "volume", "Source": "api-table", "Target": "/b", "VolumeOptions": {"Subpath": "sub"}}
    found["HostConfig.Mounts[].ImageOptions"] = {**base, "HostConfig": {"Mounts": [image]}}
    found["HostConfig.Mounts[].VolumeOptions.Subpath"] = {**base, "HostConfig": {"Mounts": [part]}}
    for name, value in EXAMPLES_SAID["endpoint"].items():
        networking = {"EndpointsConfig": {"bridge": {name: value}}}
        found[f"NetworkingConfig.EndpointsConfig.*.{name}"] = {**base, "NetworkingConfig": networking}
    return found


EXAMPLES = examples()

# What clients may send back from an inspect, and the engine answers by itself (dockerd ignores it in a request, too).
BY_THE_ENGINE = {
    f"NetworkingConfig.EndpointsConfig.*.{name}"
    for name in (
        "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address",
        "GlobalIPv6PrefixLen", "DNSNames",
    )
}  # fmt: skip
# What some kernels or versions of control groups do not have: then it is refused, or discarded with a warning.
BY_THE_KERNEL = {
    f"HostConfig.{name}"
    for name in (
        "BlkioWeight", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps", "CpuRealtimePeriod", "CpuRealtimeRuntime", "MemorySwap", "MemorySwappiness",
        "OomKillDisable", "CpuShares", "CpuPeriod", "CpuQuota", "NanoCpus", "CpusetCpus", "CpusetMems", "PidsLimit",
        "Memory", "MemoryReservation",
    )
}  # fmt: skip
# What only some file systems have.
BY_THE_FILE_SYSTEM = {"HostConfig.StorageOpt": "served on xfs with `pquota`, refused elsewhere"}
# Fields of execs that no inspect shows, with dockerd neither, and the tests that see them work.
SEEN_ELSEWHERE = {
    (EXEC, "Env"): "tests/e2e/test_streams.py",
    (EXEC, "WorkingDir"): "tests/e2e/test_streams.py",
    (EXEC, "ConsoleSize"): "tests/api/test_attach.py",
    (EXEC_START, "Detach"): "tests/api/test_attach.py",
    (EXEC_START, "Tty"): "tests/api/test_attach.py",
    (EXEC_START, "ConsoleSize"): "tests/e2e/test_docker_py.py",
}

# Fields that dockerd does not read either, though the schema has them.
UNUSED = {(UPDATE, "Init"): "it is fixed when a container is made"}

NEWER = "newer than 1.51"
NO_SWARM = "there is no swarm"
CONTAINERD_STORE = "dockerd, too, has it with containerd's image store only"
# Fields of answers that Wherry's answers are without, with all below them, and why.
ABSENT = {
    (LIST, "[].Health"): NEWER,
    (LIST, "[].NetworkSettings.Networks.*.IPAMConfig"): "an address cannot be chosen on the default bridge",
    (LIST, "[].ImageManifestDescriptor"): CONTAINERD_STORE,
    (INSPECT, "NetworkSettings.Networks.*.IPAMConfig"): "an address cannot be chosen on the default bridge",
    (INSPECT, "ImageManifestDescriptor"): CONTAINERD_STORE,
    (INSPECT, "Storage"): NEWER,
    (STATS, "os_type"): NEWER,
    (STATS, "memory_stats.failcnt"): "shown when it is not 0",
    **{
        (STATS, f"blkio_stats.{name}_recursive[]"): "shown when the kernel has counted something"
        for name in (
            "io_merged",
            "io_queue",
            "io_service_bytes",
            "io_service_time",
            "io_serviced",
            "io_time",
            "io_wait_time",
            "sectors",
        )
    },
    **{
        (STATS, name): "Windows alone has it"
        for name in (
            "memory_stats.commitbytes",
            "memory_stats.commitpeakbytes",
            "memory_stats.privateworkingset",
            "networks.*.endpoint_id",
            "networks.*.instance_id",
            "storage_stats.read_count_normalized",
            "storage_stats.read_size_bytes",
            "storage_stats.write_count_normalized",
            "storage_stats.write_size_bytes",
        )
    },
    (INSPECT, "HostConfig.BlkioWeightDevice[]"): "shown where the disk's scheduler knows weights",
    ("GET /info", "Containerd"): "there is no containerd",
    ("GET /info", "NRI"): NEWER,
    ("GET /info", "GenericResources[]"): NO_SWARM,
    ("GET /info", "Swarm.Cluster"): NO_SWARM,
    ("GET /info", "Swarm.RemoteManagers[]"): NO_SWARM,
    ("GET /info", "Swarm.Managers"): NO_SWARM,
    ("GET /info", "Swarm.Nodes"): NO_SWARM,
    ("GET /info", "Runtimes.*.runtimeArgs"): "runtimes have none",
    ("GET /info", "Runtimes.*.status"): "runtimes do not say more of themselves",
    ("GET /info", "FirewallBackend.Info"): "there is nothing to add",
    ("GET /info", "DefaultAddressPools"): "shown with `--default-address-pool`",
    ("GET /info", "DiscoveredDevices"): "shown where a CDI specification names some",
    ("GET /version", "Experimental"): "shown with `--experimental`",
    ("GET /system/df", "BuildCacheUsage"): NEWER,
    ("GET /system/df", "ContainerUsage"): NEWER,
    ("GET /system/df", "ImageUsage"): NEWER,
    ("GET /system/df", "VolumeUsage"): NEWER,
}
# Fields of answers that the schema, which is a little newer, has no more; dockerd 28.5 answers with them, too.
BEYOND = {
    INSPECT: {
        f"NetworkSettings.{name}"
        for name in (
            "Bridge", "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "HairpinMode", "IPAddress",
            "IPPrefixLen", "IPv6Gateway", "LinkLocalIPv6Address", "LinkLocalIPv6PrefixLen", "MacAddress",
            "SecondaryIPAddresses", "SecondaryIPv6Addresses",
        )
    } | {"Config.MacAddress"},
    "GET /info": {"KernelMemoryTCP"},
    "GET /system/df": {"BuildCache", "Containers", "Images", "LayersSize", "Volumes"},
    "GET /events": {"from", "id", "status"},
}  # fmt: skip

SERVED = "served"


@pytest.fixture(scope="module")
def api(running_daemon):
    with running_daemon() as api:
        api.load_busybox()
        api.told("POST", "/containers/create?name=other", {"Image": "busybox", "Cmd": ["true"]})
        yield api


def at(value, path):
    for word in path.split("."):
        if not isinstance(value, dict) or word not in value:
            return None
        value = value[word]
    return value


def holds(found, said):
    """Whether all that was said is in what was found."""
    if isinstance(said, dict):
        return isinstance(found, dict) and all(holds(found.get(key), value) for key, value in said.items())
    if isinstance(said, list) and isinstance(found, list):
        return all(any(holds(each, value) for each in found) for value in said)
    return found == said


def shown_at(path):
    """Where inspect shows what a field of the request to create says."""
    if path.startswith("NetworkingConfig.EndpointsConfig.*"):
        return path.replace("NetworkingConfig.EndpointsConfig.*", "NetworkSettings.Networks.bridge")
    path = path.partition("[]")[0]
    return path if path.startswith("HostConfig") else f"Config.{path}"


def links_are_shown(found, _said):
    """`other:alias` becomes `/other:/NAME/alias`."""
    return bool(found) and found[0].startswith("/other:/") and found[0].endswith("/alias")


def create_outcome(api, path, body, inspected):
    """What became of one field of the request to create: `served`, or what was said instead."""
    status, data, _ = api.ask("POST", "/containers/create", json.dumps(body).encode())
    told = json.loads(data)
    if status != 201:
        return f"refused: {' '.join(told['message'].split())}"
    shown = api.told("GET", f"/containers/{told['Id']}/json")
    api.told("DELETE", f"/containers/{told['Id']}?v=1")
    inspected.append(shown)
    is_shown = links_are_shown if path == "HostConfig.Links" else holds
    if is_shown(at(shown, shown_at(path)), at(body, path.partition("[]")[0].replace("*", "bridge"))):
        return SERVED
    return f"discarded: {told['Warnings'][0]}" if told["Warnings"] else "SILENT"


def update_outcome(api, container_id, field, value):
    status, data, _ = api.ask("POST", f"/containers/{container_id}/update", json.dumps({field: value}).encode())
    told = json.loads(data)
    if status != 200:
        return f"refused: {' '.join(told['message'].split())}"
    shown = api.told("GET", f"/containers/{container_id}/json")["HostConfig"]
    if holds(shown.get(field), value):
        return SERVED
    return f"discarded: {told['Warnings'][0]}" if told["Warnings"] else "SILENT"


def exec_outcomes(api, container_id):
    """Of both requests of an exec; what inspect calls otherwise is translated."""
    said = {
        "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "DetachKeys": "ctrl-a", "Tty": True,
        "Cmd": ["one", "two"], "Privileged": True, "User": "0",
    }  # fmt: skip
    name = api.told("POST", f"/containers/{container_id}/exec", said)["Id"]
    shown = api.told("GET", f"/exec/{name}/json")
    process = shown["ProcessConfig"]
    found = {
        "AttachStdin": shown["OpenStdin"], "AttachStdout": shown["OpenStdout"], "AttachStderr": shown["OpenStderr"],
        "DetachKeys": "ctrl-a" if shown["DetachKeys"] == "AQ==" else "", "Tty": process["tty"],
        "Cmd": [process["entrypoint"], *process["arguments"]], "Privileged": process["privileged"],
        "User": process["user"],
    }  # fmt: skip
    outcomes = {(EXEC, field): SERVED if found.get(field) == value else "SILENT" for field, value in said.items()}
    return {**outcomes, **dict.fromkeys(SEEN_ELSEWHERE, SERVED)}


@pytest.fixture(scope="module")
def inspected():
    """What inspect said of all containers that were made."""
    return []


@pytest.fixture(scope="module")
def outcomes(api, inspected):
    """What becomes of each field of the requests, by operation and field."""
    found = {}
    for path, body in EXAMPLES.items():
        outcome = create_outcome(api, path, body, inspected)
        if path in BY_THE_ENGINE:
            outcome = "answered by the engine"
        elif path in BY_THE_KERNEL and outcome != "SILENT":
            outcome = "served where the kernel can"
        elif path in BY_THE_FILE_SYSTEM and outcome != "SILENT":
            outcome = BY_THE_FILE_SYSTEM[path]
        found[CREATE, path] = outcome
    container_id = api.told("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"]})["Id"]
    living = api.told("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"]})["Id"]
    api.told("POST", f"/containers/{living}/start")
    for field in top_fields(UPDATE):
        outcome = UNUSED.get((UPDATE, field)) or update_outcome(api, container_id, field, EXAMPLES_SAID["host"][field])
        if f"HostConfig.{field}" in BY_THE_KERNEL and outcome != "SILENT":
            outcome = "served where the kernel can"
        found[UPDATE, field] = outcome
    found |= exec_outcomes(api, living)
    for each in (container_id, living):
        api.told("DELETE", f"/containers/{each}?force=1")
    return found


def top_fields(operation):
    return [field for field in REQUESTS[operation] if "." not in field and "[" not in field]


def state_of(operation):
    """`served`, or why not."""
    method, _, path = operation.partition(" ")
    found = ROUTES.find(method, path.replace("{id}", "x").replace("{name}", "x"))
    assert found, f"{operation} is neither served nor refused by name"
    function = found[0]
    if inspect.getmodule(function) is not refused or function is refused.list_plugins:
        return SERVED
    names = {refused._say_no_plugin: "there are no plugins", refused._say_no_swarm: "there is no swarm"}
    return names.get(function, "refused: not served yet")


def words_read_by(function):
    """Every text in a route's code and in what it calls of its own module."""
    tree = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    code = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    texts, seen, todo = set(), set(), [function.__name__]
    while todo:
        name = todo.pop()
        if name in seen or name not in code:
            continue
        seen.add(name)
        for node in ast.walk(code[name]):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.Name):
                todo.append(node.id)
            elif isinstance(node, ast.Attribute) and node.attr == "filters":
                texts.add("filters")
    return texts


def test_every_operation_of_the_schema_is_served_or_refused_by_name():
    assert {state_of(operation) for operation in OPERATIONS} >= {SERVED}


def test_every_query_parameter_of_what_is_served_is_read():
    silent = {
        (operation, parameter)
        for operation, parameters in OPERATIONS.items()
        if state_of(operation) == SERVED
        for parameter in parameters
        if parameter not in words_read_by(route_of(operation))
    }
    assert silent == set(UNREAD)


def route_of(operation):
    method, _, path = operation.partition(" ")
    return ROUTES.find(method, path.replace("{id}", "x").replace("{name}", "x"))[0]


def test_the_examples_say_every_field_of_the_schema():
    said = set()
    for path, body in EXAMPLES.items():
        start = path.partition("[]")[0]
        said |= {start, *flatten(at(body, start.replace("*", "bridge")), start, REQUESTS[CREATE])}
    groups = {"HostConfig", "NetworkingConfig", "NetworkingConfig.EndpointsConfig"}
    assert set(REQUESTS[CREATE]) - said - groups == set()


def test_no_field_of_a_request_is_silent(outcomes):
    assert [key for key, outcome in outcomes.items() if outcome == "SILENT"] == []
    asked = {(operation, field) for operation in (UPDATE, EXEC, EXEC_START) for field in top_fields(operation)}
    assert asked <= set(outcomes)


def flatten(value, path, schema):
    """The paths in a value, as far down as the schema knows them: `[]` for items, `*` for keys of a user's choice."""
    found = set()
    if isinstance(value, list) and any(each.startswith(f"{path}[]") for each in schema):
        for item in value:
            found |= flatten(item, f"{path}[]", schema)
    elif isinstance(value, dict):
        below = [each for each in schema if each.startswith(f"{path}." if path else "")]
        is_map = any(each.startswith((f"{path}.*.", f"{path}.*[]")) for each in schema)
        for key, item in value.items() if below or not path else ():
            each = f"{path}.{'*' if is_map else key}" if path else key
            if not each.endswith("*"):
                found.add(each)
            found |= flatten(item, each, schema)
    return found


@pytest.fixture(scope="module")
def answers(api, outcomes, inspected):
    """Answers of each kind, about containers of which there is something to tell."""
    rich = {
        "Image": "busybox", "Cmd": ["sleep", "1000"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}},
        "Labels": {"a": "b"}, "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10_000_000},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": ""}]}, "Annotations": {"a": "b"}, "PidsLimit": 50},
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"DriverOpts": {"a": "b"}}}},
    }  # fmt: skip
    made = api.told("POST", "/containers/create?name=rich", rich)
    api.told("POST", "/containers/rich/start")
    executing = api.told("POST", "/containers/rich/exec", {"Cmd": ["sh", "-c", "echo > /written"], "User": "0"})
    api.told("POST", f"/exec/{executing['Id']}/start", {"Detach": True})
    while api.told("GET", f"/exec/{executing['Id']}/json")["Running"]:
        pass
    while not api.told("GET", "/containers/rich/json")["State"]["Health"]["Log"]:
        pass
    # With its fraction: it may all have happened within this second.
    events = api.ask("GET", f"/events?since=1&until={time.time():.9f}")[1].splitlines()
    yield {
        INSPECT: [*inspected, api.told("GET", "/containers/rich/json?size=1")],
        LIST: [api.told("GET", "/containers/json?all=1&size=1")],
        "GET /exec/{id}/json": [api.told("GET", f"/exec/{executing['Id']}/json")],
        "GET /info": [api.told("GET", "/info")],
        "GET /version": [api.told("GET", "/version")],
        "GET /system/df": [api.told("GET", "/system/df")],
        "GET /events": [json.loads(line) for line in events],
        "GET /containers/{id}/top": [api.told("GET", "/containers/rich/top")],
        CREATE: [made],
        EXEC: [executing],
        "POST /containers/{id}/wait": [api.told("POST", "/containers/other/wait"), {"Error": {"Message": ""}}],
        STATS: [api.told("GET", "/containers/rich/stats?stream=0")],
        "GET /containers/{id}/changes": [api.told("GET", "/containers/rich/changes")],
        UPDATE: [api.told("POST", "/containers/rich/update", {"CpuShares": 512})],
        COMMIT: [api.told("POST", "/commit?container=rich&repo=made")],
        **pruned(api),
    }
    api.told("DELETE", "/containers/rich?force=1&v=1")


def pruned(api):
    """What each kind of prune tells of one that it removed."""
    api.told("POST", "/containers/create?name=pruned", {"Image": "busybox", "Cmd": ["true"], "Volumes": {"/v": {}}})
    filters = {"containers": {}, "images": {"dangling": ["false"]}, "volumes": {"all": ["1"]}}
    return {
        f"POST /{kind}/prune": [api.told("POST", f"/{kind}/prune?filters={quote(json.dumps(wanted))}")]
        for kind, wanted in filters.items()
    }


def test_answers_have_every_field_of_the_schema_and_no_others(answers, outcomes):
    assert set(answers) == set(ANSWERS)
    refused_fields = [path for (kind, path), outcome in outcomes.items() if kind == CREATE and "refused" in outcome]
    for operation, schema in ANSWERS.items():
        found = set().union(*(flatten(answer, "", schema) for answer in answers[operation]))
        absent = [path for kind, path in ABSENT if kind == operation]
        absent += refused_fields if operation == INSPECT else []
        expected = {path for path in schema if not _is_below(path, absent)}
        assert expected - found == set(), operation
        assert found - set(schema) - BEYOND.get(operation, set()) == set(), operation


def _is_below(path, parents):
    return any(path == parent or path.startswith((f"{parent}.", f"{parent}[")) for parent in parents)


def row(*cells):
    return f"| {' | '.join(cells)} |"


def table_of_operations():
    rows = [row("Operation", "Query parameters", "State"), row("---", "---", "---")]
    for operation, parameters in OPERATIONS.items():
        state = state_of(operation)
        names = [name for name in parameters if (operation, name) not in UNREAD]
        without = [f"`{name}` is not read: {why}" for (kind, name), why in UNREAD.items() if kind == operation]
        said = ", ".join(f"`{name}`" for name in names) if state == SERVED else ""
        rows.append(row(f"`{operation}`", said, "; ".join([state, *without])))
    return rows


def table_of_fields(outcomes):
    rows = []
    for operation in (CREATE, UPDATE, EXEC, EXEC_START):
        rows += ["", f"### `{operation}`", "", row("Field", "What becomes of it"), row("---", "---")]
        rows += [row(f"`{field}`", outcome) for (kind, field), outcome in outcomes.items() if kind == operation]
    return rows


def table_of_absences():
    rows = [row("Answer of", "Field", "Why it is left out"), row("---", "---", "---")]
    return rows + [row(f"`{operation}`", f"`{path}`", why) for (operation, path), why in ABSENT.items()]


@pytest.mark.parametrize("name", ["operations", "fields", "absences"])
def test_the_document_says_what_is_so(outcomes, name):
    tables = {"operations": table_of_operations, "absences": table_of_absences}
    rows = table_of_fields(outcomes) if name == "fields" else tables[name]()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(begin)
    old, _, after = rest.partition(end)
    new = "\n".join([*rows, ""])
    if os.environ.get("WRITE_API_TABLE"):
        DOCUMENT.write_text(f"{before}{begin}{new}{end}{after}")
    else:
        assert old == new, "run WRITE_API_TABLE=1 pytest tests/api/test_table.py, and look at what it changed"
