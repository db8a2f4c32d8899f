"""The README's tour, typed word for word: with docker, and with wherry in docker's place."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMPTS = ("/ # ",)
TYPED = re.compile(r"^(\$ |/ # )(.*)$")


def read(block):
    """(prompt, typed line, expected output) of a console block."""
    steps = []
    for line in block.splitlines():
        typed = TYPED.match(line)
        if typed:
            steps.append((typed.group(1), typed.group(2), []))
        else:
            steps[-1][2].append(line)
    return [(prompt, line, "".join(f"{each}\n" for each in expected)) for prompt, line, expected in steps]


def matches(expected, said):
    """Whether it was said; `…` stands for anything, and columns are as wide as they are."""
    pattern = ".*".join(map(re.escape, evened(expected).split("…")))
    return re.fullmatch(pattern, evened(said), re.DOTALL)


def evened(text):
    return re.sub(r" +", " ", re.sub(r" +$", "", text, flags=re.MULTILINE))


@pytest.mark.parametrize("program", ["docker", "wherry"])
@pytest.mark.timeout(180)
def test_the_tour_can_be_typed(program, machine, readme):
    if not shutil.which(program) and program == "docker":
        pytest.skip("no docker command line is installed")
    said, _ = machine.type("scripts/first-run > greeting; echo $?")
    assert said == "0\n"
    at = "$ "
    wrong = []
    for block in readme("console"):
        for prompt, line, expected in read(block):
            assert prompt == at, f"{line!r} is for the prompt {prompt!r}"
            line = re.sub(r"\bdocker (?!command)", f"{program} ", line)
            expected = re.sub(r"^docker: ", f"{program}: ", expected, flags=re.MULTILINE)
            said, now = machine.type(line, *PROMPTS)
            at = "$ " if now not in PROMPTS else now
            if not matches(expected, said):
                wrong.append(f"{line}\nexpected:\n{expected}\nsaid:\n{said}")
    assert not wrong, "\n".join(wrong)
    assert at == "$ "


def test_one_can_be_rid_of_it(machine, readme):
    machine.type("scripts/first-run > greeting; export PATH=$PWD/.venv/bin:$PATH")
    machine.type("wherry run -d --name web -p 8080:80 busybox httpd -f > id")
    (commands,) = [block for block in readme("sh") if "rm -rf" in block]
    for line in commands.splitlines():
        machine.type(line)
    left, _ = machine.type("ls /run /var/lib /var/log; ip -o link | cut -d: -f2; nft list ruleset; pgrep -c wherry")
    assert left.replace("mount\n", "") == "/run:\n\n/var/lib:\n\n/var/log:\n lo\n0\n"


def test_the_two_commands_are_there(readme):
    commands = readme("sh")[0].split("\n")[:-1]
    assert commands == ["make run", "make test"]
    for command in (*commands, "make lint", "make bench", "make clean"):
        subprocess.run([*command.split(), "-n"], cwd=ROOT, check=True, capture_output=True)


def test_links_lead_somewhere():
    for file in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        text = file.read_text()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (file.parent / target).exists(), f"{file.name}: {target}"
