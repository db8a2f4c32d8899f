"""JSON bodies: as lenient as Docker's decoder, and refused in its words (taken down from dockerd 28.5)."""

import pytest

from wherry.api.shape import fields_said, shape
from wherry.api.syntax import parse
from wherry.engine.exec_record import ExecRequest
from wherry.model.config import Config, CreateRequest
from wherry.model.errors import InvalidParameter


def read(text: str) -> CreateRequest:
    return shape(parse(text.encode()), CreateRequest)


BROKEN = {
    "": "invalid JSON: got EOF while reading request body",
    "  ": "invalid JSON: got EOF while reading request body",
    "{} x": "unexpected content after JSON",
    "{}{}": "unexpected content after JSON",
    '{"Image":': "invalid JSON: unexpected EOF",
    '{"Image":"bu': "invalid JSON: unexpected EOF",
    "nope": "invalid JSON: invalid character 'o' in literal null (expecting 'u')",
    '{"a":tru }': "invalid JSON: invalid character ' ' in literal true (expecting 'e')",
    '{"Image" "x"}': "invalid JSON: invalid character '\"' after object key",
    '{"Image":"a",}': "invalid JSON: invalid character '}' looking for beginning of object key string",
    "{a:1}": "invalid JSON: invalid character 'a' looking for beginning of object key string",
    "\ufeff{}": "invalid JSON: invalid character '\\ufeff' looking for beginning of value",
    '{"a":-}': "invalid JSON: invalid character '}' in numeric literal",
    '{"a":1.}': "invalid JSON: invalid character '}' in numeric literal",
    '{"a":01}': "invalid JSON: invalid character '1' after object key:value pair",
    '{"a":1]': "invalid JSON: invalid character ']' after object key:value pair",
    '{"a":[1 2]}': "invalid JSON: invalid character '2' after array element",
    '{"a":"\\x"}': "invalid JSON: invalid escape sequence `\\x` in string",
    '{"a":"\\u12zz"}': "invalid JSON: invalid escape sequence `\\u12zz` in string",
    '{"Image":"\x01"}': "invalid JSON: invalid character '\\x01' in string",
    '{"a":' * 20000 + "1" + "}" * 20000: "invalid JSON: exceeded max depth",
    "[" * 100000: "invalid JSON: exceeded max depth",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:20])
def test_text_that_is_no_json_is_refused_as_go_does(text):
    with pytest.raises(InvalidParameter) as refused:
        parse(text.encode())
    assert str(refused.value) == BROKEN[text]


WRONG = {
    "[]": "array into Go value of type container.CreateRequest",
    '{"Image":1}': "number into Go struct field .Image of type string",
    '{"imaGe":1}': "number into Go struct field .imaGe of type string",
    '{"Tty":1}': "number into Go struct field .Tty of type bool",
    '{"Cmd":1}': "number into Go value of type string",
    '{"Cmd":[1]}': "array into Go value of type string",
    '{"Env":"A=b"}': "string into Go struct field .Env of type []string",
    '{"Env":[1]}': "number into .Env.0 of type string",
    '{"Labels":{"a":1}}': "number into Go struct field .Labels.a of type string",
    '{"ExposedPorts":{"80/tcp":1}}': "number into Go struct field .ExposedPorts.80~1tcp of type struct {}",
    '{"Volumes":["/a"]}': "array into Go struct field .Volumes of type map[string]struct {}",
    '{"StopTimeout":"x"}': "string into Go struct field .StopTimeout of type int",
    '{"Healthcheck":{"Interval":"1s"}}': "string into Go struct field .Healthcheck.Interval of type time.Duration",
    '{"HostConfig":[]}': "array into Go struct field .HostConfig of type container.HostConfig",
    '{"HostConfig":{"Memory":"1"}}': "string into Go struct field .HostConfig.Memory of type int64",
    '{"HostConfig":{"Memory":1.5}}': "number 1.5 into Go struct field .HostConfig.Memory of type int64",
    '{"HostConfig":{"Memory":1e3}}': "number 1e3 into Go struct field .HostConfig.Memory of type int64",
    '{"HostConfig":{"Memory":99999999999999999999}}': (
        "number 99999999999999999999 into Go struct field .HostConfig.Memory of type int64"
    ),
    '{"HostConfig":{"NanoCpus":true}}': "bool into Go struct field .HostConfig.NanoCpus of type int64",
    '{"HostConfig":{"BlkioWeight":70000}}': "number 70000 into Go struct field .HostConfig.BlkioWeight of type uint16",
    '{"HostConfig":{"ConsoleSize":[-1,2]}}': "number -1 into .HostConfig.ConsoleSize.0 of type uint",
    '{"HostConfig":{"Devices":["x"]}}': "string into .HostConfig.Devices.0 of type container.DeviceMapping",
    '{"HostConfig":{"IpcMode":1,"PidMode":1}}': (
        "number into Go struct field .HostConfig.IpcMode of type container.IpcMode"
    ),
    '{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}': (
        "number into Go struct field .HostConfig.PortBindings.80~1tcp.0.HostPort of type string"
    ),
    '{"HostConfig":{"PortBindings":{"80/tcp":{}}}}': (
        "object into Go struct field .HostConfig.PortBindings.80~1tcp of type []nat.PortBinding"
    ),
    '{"HostConfig":{"Mounts":[{"VolumeOptions":{"DriverConfig":1}}]}}': (
        "number into Go struct field .HostConfig.Mounts.0.VolumeOptions.DriverConfig of type mount.Driver"
    ),
    '{"HostConfig":{"Ulimits":1}}': "number into Go struct field .HostConfig.Ulimits of type []*units.Ulimit",
    '{"HostConfig":{"DeviceRequests":[{"Capabilities":[1]}]}}': (
        "number into .HostConfig.DeviceRequests.0.Capabilities.0 of type []string"
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_value_of_the_wrong_kind_is_refused_with_its_place(text):
    with pytest.raises(InvalidParameter) as refused:
        read(text)
    assert str(refused.value) == f"invalid JSON: json: cannot unmarshal {WRONG[text]}"


def test_other_records_are_named_as_go_names_them():
    with pytest.raises(InvalidParameter, match=r"Go struct field ExecOptions\.Tty of type bool"):
        shape(parse(b'{"Tty":"x"}'), ExecRequest, root="ExecOptions")


def test_keys_match_in_any_case_but_not_inside_maps_of_the_users():
    request = read(
        '{"iMAGE":"a","u\u017fer":"b","Labels":{"KEY":"1","key":"2"},"hostconfig":{"MEMORY":5,"uts\u212a":1}}'
    )
    assert (request.image, request.user) == ("a", "b")
    assert request.labels == {"KEY": "1", "key": "2"}
    assert request.host_config is not None
    assert request.host_config.memory == 5


def test_null_means_not_said_and_an_empty_item_inside_a_list():
    request = read(
        '{"Image":null,"Env":["A=b",null],"Labels":{"a":null},"Cmd":[null,"x"],"Tty":null,'
        '"HostConfig":{"Memory":null,"Binds":null,"RestartPolicy":null,"PortBindings":{"80/tcp":null,"81/tcp":[null]}}}'
    )
    assert (request.image, request.env, request.labels, request.cmd) == ("", ("A=b", ""), {"a": ""}, ("", "x"))
    assert request.host_config is not None
    assert request.host_config.binds is None
    assert request.host_config.restart_policy.name == ""
    ports = request.host_config.port_bindings
    assert ports is not None
    assert ports["80/tcp"] is None
    assert [binding.host_port for binding in ports["81/tcp"] or ()] == [""]


def test_unknown_fields_are_ignored_and_the_last_of_two_wins():
    assert read('{"Nosuch":{"deep":[1]},"User":"a","user":"b"}').user == "b"


def test_a_command_may_be_one_word():
    request = read('{"Cmd":"ls","Entrypoint":"","HostConfig":{"CapAdd":"ALL"}}')
    assert (request.cmd, request.entrypoint) == (("ls",), ("",))
    assert request.host_config is not None
    assert request.host_config.cap_add == ("ALL",)


def test_arrays_of_fixed_length_are_filled_up_and_cut():
    short, long = (read(f'{{"HostConfig":{{"ConsoleSize":{text}}}}}').host_config for text in ("[7]", '[1,2,3,"x"]'))
    assert short is not None
    assert short.console_size == (7, 0)
    assert long is not None
    assert long.console_size == (1, 2)


def test_bytes_that_are_no_text_become_replacement_characters():
    assert shape(parse(b'{"User":"\xff"}'), CreateRequest).user == "\ufffd"
    assert read('{"User":"\\ud800"}').user == "\ufffd"
    assert read('{"User":"\\ud83d\\ude00"}').user == "\U0001f600"


def test_what_was_said_is_known_from_what_was_not():
    assert fields_said(parse(b'{"HostConfig":{},"user":"a","Image":null}'), Config) == {"User"}
    assert fields_said(None, Config) == set()
