"""Specifications of devices: what is read of hooks, and in which order changes come."""

import json

import pytest

from wherry.engine.cdi import edits
from wherry.model.errors import EngineError
from wherry.oci.runtime import Hook

NAMES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def hook(name, path="/bin/true", **more):
    return {"hookName": name, "path": path, **more}


def specification(directory, kind, common=None, **devices):
    document = {
        "cdiVersion": "0.6.0",
        "kind": kind,
        "containerEdits": common or {},
        "devices": [{"name": name, "containerEdits": own} for name, own in devices.items()],
    }
    (directory / f"{kind.replace('/', '-')}.json").write_text(json.dumps(document))


def asked(directory, *names):
    return edits(names, [str(directory)])


def test_hooks_come_to_the_points_of_their_names(tmp_path):
    full = hook("createContainer", "/opt/hook", args=["hook", "update"], env=["A=b=c", "D="], timeout=7)
    specification(tmp_path, "vendor.com/it", one={"hooks": [hook(name) for name in NAMES] + [full]})
    found = asked(tmp_path, "vendor.com/it=one").hooks
    plain = Hook(path="/bin/true")
    assert found.create_container == (
        plain,
        Hook(path="/opt/hook", args=("hook", "update"), env=("A=b=c", "D="), timeout=7),
    )
    for point in (found.prestart, found.create_runtime, found.start_container, found.poststart, found.poststop):
        assert point == (plain,)


def test_without_hooks_there_are_none(tmp_path):
    specification(tmp_path, "vendor.com/it", one={"env": ["A=b"]})
    assert asked(tmp_path, "vendor.com/it=one").hooks is None
    assert asked(tmp_path).hooks is None


def test_what_is_a_kinds_comes_once_before_the_first_of_its_devices(tmp_path):
    for kind in ("a.com/aa", "b.com/bb"):
        common = {"hooks": [hook("poststop", f"/{kind[0]}/all")]}
        devices = {name: {"hooks": [hook("poststop", f"/{kind[0]}/{name}")]} for name in ("one", "two")}
        specification(tmp_path, kind, common, **devices)
    found = asked(tmp_path, "a.com/aa=one", "b.com/bb=two", "a.com/aa=two", "a.com/aa=one").hooks
    assert [each.path for each in found.poststop] == ["/a/all", "/a/one", "/b/all", "/b/two", "/a/two"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (hook("nope"), 'invalid hook name "nope"'),
        ({"path": "/bin/true"}, 'invalid hook name ""'),
        ({"hookName": "poststop"}, 'invalid hook "poststop" with empty path'),
        (hook("poststop", env=["A"]), 'invalid hook "poststop": invalid environment variable "A"'),
        (hook("poststop", env=["=A"]), 'invalid hook "poststop": invalid environment variable "=A"'),
    ],
)
def test_a_hook_that_cannot_be_is_refused_where_it_is_asked_for(tmp_path, wrong, words):
    specification(tmp_path, "vendor.com/it", bad={"hooks": [wrong]}, good={"env": ["A=b"]})
    with pytest.raises(EngineError) as caught:
        asked(tmp_path, "vendor.com/it=bad")
    assert str(caught.value) == f"CDI device injection failed: {words}"
    assert asked(tmp_path, "vendor.com/it=good").env == ("A=b",)
