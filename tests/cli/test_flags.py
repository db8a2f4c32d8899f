"""Flags are read as pflag reads them."""

import pytest

from wherry.cli.errors import CommandError, UsageError
from wherry.cli.flags import BOOL, INT, LIST, STRING, Flag, HelpWanted, Verb, check_arguments, parse

FLAGS = (
    Flag("interactive", "i", BOOL, ""),
    Flag("tty", "t", BOOL, ""),
    Flag("proxy", "", BOOL, "", default=True),
    Flag("publish", "p", LIST, ""),
    Flag("name", "", STRING, ""),
    Flag("last", "n", INT, "", default=-1),
)


def read(*words, interspersed=True):
    given, arguments = parse(FLAGS, list(words), interspersed=interspersed)
    return {name: given[name] for name in given.changed}, arguments


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["-it"], {"interactive": True, "tty": True}),
        (["-p8080:80", "-p", "1", "--publish=2", "-p=3"], {"publish": ["8080:80", "1", "2", "3"]}),
        (["-itp", "5"], {"interactive": True, "tty": True, "publish": ["5"]}),
        (["--name", "-x"], {"name": "-x"}),
        (["--name="], {"name": ""}),
        (["--proxy=false", "-t=0"], {"proxy": False, "tty": False}),
        (["-n", "0x10"], {"last": 16}),
        (["-n", "010"], {"last": 8}),
        (["-n", "-1"], {"last": -1}),
    ],
)
def test_every_way_to_write_a_flag(words, values):
    assert read(*words) == (values, [])


def test_flags_may_stand_between_arguments_until_two_dashes():
    assert read("a", "-i", "b", "--", "-t") == ({"interactive": True}, ["a", "b", "-t"])


def test_a_verb_that_runs_a_command_leaves_the_commands_flags_alone():
    assert read("-i", "image", "-t", "--name", interspersed=False) == ({"interactive": True}, ["image", "-t", "--name"])


def test_a_dash_alone_is_an_argument():
    assert read("-") == ({}, ["-"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--x"], "unknown flag: --x"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-ix=3"], "unknown shorthand flag: 'x' in -x=3"),
        (["--name"], "flag needs an argument: --name"),
        (["-ip"], "flag needs an argument: 'p' in -ip"),
        (["--=a"], "bad flag syntax: --=a"),
        (["---a"], "bad flag syntax: ---a"),
        (
            ["-n", "abc"],
            'invalid argument "abc" for "-n, --last" flag: strconv.ParseInt: parsing "abc": invalid syntax',
        ),
        (["-n", " 1"], 'invalid argument " 1" for "-n, --last" flag: strconv.ParseInt: parsing " 1": invalid syntax'),
        (["--tty=x"], 'invalid argument "x" for "-t, --tty" flag: strconv.ParseBool: parsing "x": invalid syntax'),
    ],
)
def test_errors_are_pflags(words, message):
    with pytest.raises(UsageError) as caught:
        read(*words)
    assert (str(caught.value), caught.value.status) == (message, 125)


@pytest.mark.parametrize("word", ["--help", "-h", "-ih"])
def test_help_is_a_wish(word):
    with pytest.raises(HelpWanted):
        read(word)


@pytest.mark.parametrize(
    ("limits", "count", "words"),
    [
        ((1, None), 0, "requires at least 1 argument\n"),
        ((2, None), 1, "requires at least 2 arguments\n"),
        ((0, 0), 1, "accepts no arguments\n"),
        ((1, 1), 2, "requires 1 argument\n"),
        ((0, 1), 2, "requires at most 1 argument\n"),
        ((1, 2), 3, "requires at least 1 and at most 2 arguments\n"),
    ],
)
def test_wrong_numbers_of_arguments_are_told(limits, count, words):
    verb = Verb("THING", lambda *_: 0, arguments=limits)
    with pytest.raises(CommandError) as caught:
        check_arguments(verb, count, "wherry verb")
    assert f"wherry: 'wherry verb' {words}" in str(caught.value)
    assert "Usage:  wherry verb THING" in str(caught.value)
