"""Device rules become one effective list, and the list v1 writes or a v2 program that the kernel obeys."""

import os
import struct

import pytest

from wherry.libcontainer.cgroups import device_program
from wherry.libcontainer.cgroups.devices import EVERYTHING, NOTHING, Node, after, as_v1, effective
from wherry.libcontainer.cgroups.errors import LimitError
from wherry.linux import bpf
from wherry.oci.runtime import DeviceRule, Resources

DENY_ALL = DeviceRule(allow=False)

DOCKERS = {
    "b *:* m", "c *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
    "c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm",
}  # fmt: skip


def allow(kind="c", major=None, minor=None, access="rwm"):
    return DeviceRule(allow=True, type=kind, major=major, minor=minor, access=access)


def deny(*args, **more):
    rule = allow(*args, **more)
    return DeviceRule(allow=False, type=rule.type, major=rule.major, minor=rule.minor, access=rule.access)


def lines(devices):
    return {f"{node} {access}" for node, access in devices.exceptions}


def test_denying_all_leaves_dockers_list():
    assert lines(effective([DENY_ALL])) == lines(effective([])) == DOCKERS


def test_rules_add_to_the_list_and_take_from_it():
    assert lines(effective([DENY_ALL, allow("c", 10, None, "rm")])) == DOCKERS | {"c 10:* rm"}
    added = after(after(NOTHING, allow("c", 10, 229, "r")), allow("c", 10, 229, "wm"))
    assert lines(added) == {"c 10:229 rwm"}
    assert lines(after(added, deny("c", 10, 229, "w"))) == {"c 10:229 rm"}
    assert lines(after(added, deny("c", 10, 229))) == set()


def test_allowing_all_forgets_the_list():
    assert effective([DENY_ALL, allow("b", 8, 0), DeviceRule(allow=True)]) == EVERYTHING


def test_minus_one_is_the_wildcard_of_go_programs():
    assert lines(after(NOTHING, allow("c", -1, -1))) == {"c *:* rwm"}


def test_a_list_that_allows_has_denials_as_exceptions():
    assert lines(after(EVERYTHING, deny("b", 8, None, "w"))) == {"b 8:* w"}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([allow("c", 1), deny("c", 1, 3)], 'device rule "deny c 1:3 rwm" is only a part of the wider "c 1:* rwm"'),
        ([allow("x")], 'invalid device type "x"'),
        ([allow("c", 1, 3, "")], 'invalid access ""'),
        ([allow("c", 1, 3, "rx")], 'invalid access "rx"'),
    ],
)
def test_rules_without_a_meaning_are_refused(rules, words):
    with pytest.raises(LimitError) as caught:
        effective(rules)
    assert words in str(caught.value)


def test_v1_writes_the_default_first():
    writes = as_v1(after(NOTHING, allow("c", 1, 3)))
    assert [(write.file, write.text) for write in writes] == [("devices.deny", "a"), ("devices.allow", "c 1:3 rwm")]
    writes = as_v1(after(EVERYTHING, deny("c", 1, 3)))
    assert [(write.file, write.text) for write in writes] == [("devices.allow", "a"), ("devices.deny", "c 1:3 rwm")]


def verdict(program, kind, major, minor, access):
    """What the program says of one access, by running it."""
    registers = [0] * 11
    context = {0: access << 16 | kind, 4: major, 8: minor}
    code = [struct.unpack_from("=BBhI", program, offset) for offset in range(0, len(program), 8)]
    place = 0
    while True:
        operation, both, offset, value = code[place]
        to, source = both & 15, both >> 4
        place += 1
        match operation:
            case 0x61:
                registers[to] = context[offset]
            case 0xB4:
                registers[to] = value
            case 0xBC:
                registers[to] = registers[source]
            case 0x54:
                registers[to] &= value
            case 0x74:
                registers[to] >>= value
            case 0x56:
                place += offset if registers[to] != value else 0
            case 0x16:
                place += offset if registers[to] == value else 0
            case 0x95:
                return bool(registers[0])


def expected(devices, kind, major, minor, access):
    """The same by the meaning of the list."""
    for node, letters in devices.exceptions:
        bits = sum({"m": 1, "r": 2, "w": 4}[letter] for letter in letters)
        if {"b": 1, "c": 2}[node.type] != kind or node.major not in (None, major) or node.minor not in (None, minor):
            continue
        if devices.allow and access & bits:
            return False
        if not devices.allow and not access & ~bits:
            return True
    return devices.allow


@pytest.mark.parametrize(
    "devices",
    [
        NOTHING,
        EVERYTHING,
        effective([DENY_ALL, allow("b", 8, None, "r"), allow("c", 10, 229, "rw")]),
        after(after(EVERYTHING, deny("b", 8, None, "w")), deny("c", 1, 3)),
    ],
)
def test_the_program_says_what_the_list_means(devices):
    program = device_program.assemble(devices)
    for kind in (1, 2):
        for major, minor in ((1, 3), (1, 4), (8, 0), (8, 7), (10, 200), (10, 229), (136, 9), (0xFFFFFFFF, 0)):
            for access in range(1, 8):
                case = (kind, major, minor, access)
                assert verdict(program, *case) == expected(devices, *case), case


def try_open(path, flags=os.O_RDWR):
    try:
        os.close(os.open(path, flags | os.O_NOCTTY))
    except OSError as error:
        return error.errno
    return 0


def ask(run, cgroup, *acts):
    """Results of functions in a process of the cgroup."""
    read_end, write_end = os.pipe()
    run(cgroup, lambda: os.write(write_end, bytes(act() for act in acts)))
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        return list(answer.read())


@pytest.fixture(params=["own version", "v2"])
def guarded(request):
    return request.getfixturevalue("make" if request.param == "own version" else "make_v2")()


def test_the_kernel_obeys(guarded, run, tmp_path):
    node = tmp_path / "kmsg"

    def make_node():
        os.mknod(node, 0o020600, os.makedev(1, 11))
        return 0

    acts = (
        lambda: try_open("/dev/null"),
        lambda: try_open("/dev/zero"),
        make_node,
        lambda: try_open(node, os.O_RDONLY),
    )
    guarded.apply(Resources(devices=(DENY_ALL,)))
    assert ask(run, guarded, *acts) == [0, 0, 0, 1]
    guarded.apply(Resources(devices=(DENY_ALL, allow("c", 1, 11, "r"))))
    node.unlink()
    assert ask(run, guarded, *acts) == [0, 0, 0, 0]
    assert ask(run, guarded, lambda: try_open(node, os.O_WRONLY)) == [1]
    guarded.apply(Resources(devices=(DeviceRule(allow=True),)))
    assert ask(run, guarded, lambda: try_open(node, os.O_WRONLY)) == [0]


def test_a_v2_cgroup_has_one_program_however_often_it_is_limited(make_v2):
    cgroup = make_v2()
    ids = set()
    for _ in range(3):
        cgroup.apply(Resources(devices=(DENY_ALL,)))
        attached = bpf.query(cgroup.clone_fd, bpf.ATTACH_CGROUP_DEVICE)
        assert len(attached.programs) == 1
        ids.update(attached.programs)
    assert len(ids) == 3


def test_a_program_of_somebody_elses_beside_ours_is_replaced_too(make_v2):
    cgroup = make_v2()
    for _ in range(2):
        program = bpf.load(bpf.PROG_TYPE_CGROUP_DEVICE, device_program.assemble(NOTHING))
        bpf.attach(cgroup.clone_fd, program, bpf.ATTACH_CGROUP_DEVICE, bpf.F_ALLOW_MULTI)
        os.close(program)
    device_program.attach(cgroup.clone_fd, EVERYTHING)
    assert len(bpf.query(cgroup.clone_fd, bpf.ATTACH_CGROUP_DEVICE).programs) == 1


def test_a_program_that_the_kernel_rejects_says_why():
    with pytest.raises(OSError, match=r"bpf BPF_PROG_LOAD: .*\("):
        bpf.load(bpf.PROG_TYPE_CGROUP_DEVICE, b"\x95\0\0\0\0\0\0\0")


def test_a_node_reads_as_the_kernel_writes_it():
    assert str(Node("c", 1, None)) == "c 1:*"
