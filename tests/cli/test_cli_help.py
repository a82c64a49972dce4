"""The help of every command: options in panels, the same everywhere, and examples that the command takes."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict

import pytest
import typer
from rich.console import Console
from rich.markdown import Markdown

from unveil.cli import app, application, help_panels
from unveil.cli.commands import called

PANELS = {value for name, value in vars(help_panels).items() if name.isupper() and name != "EXIT_CODES"}
MAX_LOOSE = 8  # options of a command that are in no panel
# Options that share a name and not their meaning.
SEVERAL_MEANINGS = {
    "cameras", "curve", "detector", "gallery", "kind", "parser", "rerank", "rows", "seconds", "seed", "show",
    "source", "sources", "tags", "threshold", "pairs", "skip_person_check",
}  # fmt: skip


def commands(command=None, path=()) -> dict[str, object]:
    command = command or typer.main.get_command(app)
    if not hasattr(command, "commands"):
        return {" ".join(path): command}
    found = {}
    for name, below in command.commands.items():
        found |= commands(below, (*path, name))
    return found


COMMANDS = commands()


def options(command) -> list:
    return [p for p in command.params if p.param_type_name == "option" and p.name != "help"]


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_in_known_panels_and_few_are_in_none(name):
    panels = [option.rich_help_panel for option in options(COMMANDS[name])]
    assert set(panels) - {None} <= PANELS
    assert panels.count(None) <= MAX_LOOSE
    assert "as_json" not in {option.name for option in options(COMMANDS[name]) if option.rich_help_panel is None}


def test_an_option_is_in_the_same_panel_in_every_command():
    found = defaultdict(lambda: defaultdict(list))
    for name, command in COMMANDS.items():
        for option in options(command):
            found[option.name][option.rich_help_panel].append(name)
    different = {name: dict(panels) for name, panels in found.items() if len(panels) > 1}
    assert different.keys() <= SEVERAL_MEANINGS, different


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_it_takes(name):
    command = COMMANDS[name]
    examples = re.findall(r"`(unveil [^`]+)`", command.help.partition("**Example")[2])
    assert examples, "no examples"
    for example in examples:
        words = shlex.split(example.replace("\\", ""))[1:]
        path = name.split()
        assert words[: len(path)] == path, example
        # Parses options and types, and runs nothing.
        command.make_context(name, words[len(path) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_its_exit_codes_mean(name):
    assert COMMANDS[name].epilog == help_panels.EXIT_CODES


@pytest.mark.parametrize("words", [["--help"], [], ["--version"], ["trani"], ["search", "--help"], ["gallery", "lits"]])
def test_importing_one_command_alone_changes_nothing_that_is_printed(words, capsys):
    told = []
    for only in (None, called(words)):
        with pytest.raises(SystemExit) as end:
            application(only)(words, prog_name="unveil")
        told.append((end.value.code, *capsys.readouterr()))
    assert told[0] == told[1] and any(told[0][1:])


def test_the_command_that_is_called_is_found_among_options():
    assert [called(words) for words in (["-q", "train", "bot"], ["--quiet"], [], ["traim"])] == ["train", "", "", ""]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_of_a_help_is_lost_as_markup(name):
    command = COMMANDS[name]
    for text in (command.help, command.epilog, *(p.help for p in command.params if getattr(p, "help", None))):
        console = Console(width=10_000)
        with console.capture() as shown:
            console.print(Markdown(text))
        assert shown.get().split() == re.sub(r"`|\*\*", "", text).split()


def test_the_panels_are_printed(capsys):
    with pytest.raises(SystemExit):
        app(["search", "--help"])
    shown = capsys.readouterr().out
    positions = [
        shown.index(f"─ {panel} ─") for panel in ("Options", help_panels.QUERY, help_panels.ROWS, help_panels.OUTPUT)
    ]
    assert positions == sorted(positions)
