"""The scripts by which shells complete command lines, made from an argparse parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.cli.parser import nested_parsers, whole_parsers
from spimpack_tasks.packaging.backends.registry import backend_names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command."""

    spellings: tuple[str, ...]
    """Spellings, such as `--backend`; empty for a positional argument."""
    help: str
    values: tuple[str, ...]
    """The permitted values, if there is a list."""
    takes: str
    """Kind of value: `files`, `folders`, `text`, or empty for none."""


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """One subcommand."""

    name: str
    help: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> list[str]:
        """All spellings of its options."""
        return [spelling for argument in self.arguments for spelling in argument.spellings]

    @property
    def positional(self) -> Argument | None:
        """The argument that is given by its place; no command has several."""
        return next((a for a in self.arguments if not a.spellings), None)


def read_commands(parser: argparse.ArgumentParser) -> Iterator[ShellCommand]:
    """Yield the subcommands of a parser."""
    for name, command in whole_parsers(parser).items():
        # argparse has no public way to list its arguments.
        actions = [*command._actions]  # noqa: SLF001
        for nested in nested_parsers(command).values():
            actions += [each for each in nested._actions[1:] if each.option_strings]  # noqa: SLF001
        yield ShellCommand(name, command.description or "", tuple(map(_argument, actions)))


def _argument(action: argparse.Action) -> Argument:
    values = tuple(map(str, action.choices or ()))
    if "--backend" in action.option_strings:
        values = backend_names()
    takes = "" if action.nargs == 0 else _TAKES.get(str(action.metavar), "text")
    return Argument(tuple(action.option_strings), _plain(action.help or ""), values, takes)


_TAKES = {"FILE": "files", "DIR": "folders", "ROOT": "folders"}


def _plain(text: str) -> str:
    """Return a text with nothing in it that a shell, or a completion, would take for its own."""
    return re.sub(r"[^\w .,/-]", "", text)


def _bash(commands: list[ShellCommand]) -> Iterator[str]:
    yield "# bash completion of spimpack; made by: spimpack completion bash"
    yield "_spimpack() {"
    yield "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}"
    # Of --backend=copy, bash makes three words.
    yield "    [[ $word == = ]] && word="
    yield "    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}"
    yield "    local command= words= kind=-W"
    yield "    COMPREPLY=()"
    yield "    (( COMP_CWORD > 1 )) && command=${COMP_WORDS[1]}"
    yield '    case "$command:$before" in'
    for command in commands:
        for argument in command.arguments:
            if argument.spellings and argument.takes:
                cases = "|".join(f"{command.name}:{s}" for s in argument.spellings)
                yield f"    {cases}) {_bash_values(argument)} ;;"
    yield "    *)"
    yield '        case "$command" in'
    yield f'        "") words="{" ".join([*(c.name for c in commands), *_GLOBAL])}" ;;'
    for command in commands:
        options = " ".join(command.options)
        positional = command.positional
        other = _bash_values(positional) if positional else 'words=""'
        yield f'        {command.name}) [[ $word == -* ]] && words="{options}" || {{ {other}; }} ;;'
    yield "        esac ;;"
    yield "    esac"
    yield "    case $kind in"
    yield '    -W) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word") ;;'
    yield "    *) compopt -o filenames 2>/dev/null"
    yield '       mapfile -t COMPREPLY < <(compgen "$kind" -- "$word") ;;'
    yield "    esac"
    yield "}"
    yield "complete -F _spimpack spimpack"


def _bash_values(argument: Argument) -> str:
    if argument.values:
        return f'words="{" ".join(argument.values)}"'
    return {"files": "kind=-f", "folders": "kind=-d"}.get(argument.takes, 'words=""')


_GLOBAL = ("--help", "--version")


def _zsh(commands: list[ShellCommand]) -> Iterator[str]:
    yield "#compdef spimpack"
    yield "# zsh completion of spimpack; made by: spimpack completion zsh"
    yield "_spimpack() {"
    yield "    local -a commands"
    yield "    commands=("
    yield from (f"        '{command.name}:{_plain(command.help)}'" for command in commands)
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words"
    yield "    (( CURRENT-- ))"
    yield "    case $command in"
    for command in commands:
        yield f"    {command.name}) _arguments \\"
        yield from (
            f"        {spec} \\" for argument in command.arguments for spec in _specs(argument)
        )
        yield "        ;;"
    yield "    esac"
    yield "}"
    # As a file of the function path it is called, as one that is sourced it declares itself.
    yield "if [[ $funcstack[1] == _spimpack ]]; then"
    yield '    _spimpack "$@"'
    yield "else"
    yield "    compdef _spimpack spimpack"
    yield "fi"


def _specs(argument: Argument) -> Iterator[str]:
    """Yield an argument as `_arguments` of zsh takes it."""
    values = f"({' '.join(argument.values)})" if argument.values else _ZSH[argument.takes]
    if not argument.spellings:
        yield f"'1:{argument.help[:40]}:{values}'"
    for spelling in argument.spellings:
        value = f":value:{values}" if argument.takes else ""
        yield f"'{spelling}[{argument.help}]{value}'"


_ZSH = {"files": "_files", "folders": "_files -/", "text": " ", "": ""}


def _fish(commands: list[ShellCommand]) -> Iterator[str]:
    yield "# fish completion of spimpack; made by: spimpack completion fish"
    yield "complete -c spimpack -f"
    none = "__fish_use_subcommand"
    yield f"complete -c spimpack -n {none} -l help -d 'show help'"
    yield f"complete -c spimpack -n {none} -l version -d 'show the version'"
    for command in commands:
        yield f"complete -c spimpack -n {none} -a {command.name} -d '{_plain(command.help)}'"
    for command in commands:
        seen = f"'__fish_seen_subcommand_from {command.name}'"
        for argument in command.arguments:
            names = " ".join(
                f"-l {s[2:]}" if s.startswith("--") else f"-s {s[1:]}" for s in argument.spellings
            )
            parts = ["complete -c spimpack -n", seen, names, _fish_values(argument)]
            if names:
                parts.append(f"-d '{argument.help}'")
            yield " ".join(filter(None, parts))


def _fish_values(argument: Argument) -> str:
    required = "-x " if argument.spellings else ""
    if argument.values:
        return f"{required}-a '{' '.join(argument.values)}'"
    if argument.takes == "folders":
        return f"{required}-a '(__fish_complete_directories)'"
    if argument.takes == "files":
        return "-r -F"
    return required.strip() if argument.takes else ""


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
"""Function that composes the lines of a script, by shell."""
