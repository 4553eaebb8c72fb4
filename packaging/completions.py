#!/usr/bin/python3
"""Writes the completions for bash, zsh and fish: completions.py BASH ZSH FISH (three paths).

Law: made from the command line's own parser when the package is built, so that
they cannot differ from it; what they do later is done by the shell alone, for a
Tab must not wait for Python.  Incidents are completed from their files' names.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from watchdog.cli import PROGRAM, build_parser
from watchdog.config import Config
from watchdog.core.policy import Remedy

INCIDENTS = f"{Config().run_dir}/incidents"
FUNCTION = "_" + PROGRAM.replace("-", "_")

# What can stand in the place of an argument, by what the usage calls it.
REMEDIES = tuple(remedy.value for remedy in Remedy)
WORDS: Dict[str, Tuple[str, ...]] = {"REMEDY": REMEDIES, "ACTION|REMEDY": REMEDIES, "DURATION": ("off",)}
FILE, INCIDENT = "FILE", "ID"


@dataclass(frozen=True)
class Option:
    """One option; `value` is what the usage calls its argument, empty for a switch."""

    names: Tuple[str, ...]
    value: str
    told: str


@dataclass(frozen=True)
class Command:
    """One command, its options, and what the usage calls its arguments."""

    name: str
    told: str
    options: Tuple[Option, ...]
    arguments: Tuple[str, ...]


def commands() -> List[Command]:
    """Those that the help tells; what is hidden there is no word for a person."""
    (actions,) = [one for one in build_parser()._actions if isinstance(one, argparse._SubParsersAction)]
    return [_command(one.dest, one.help or "", actions.choices[one.dest]) for one in actions._choices_actions]


def _command(name: str, told: str, parser: argparse.ArgumentParser) -> Command:
    shown = [one for one in parser._actions if one.help != argparse.SUPPRESS]
    options = tuple(
        Option(tuple(one.option_strings), "" if one.nargs == 0 else str(one.metavar), _plain(one.help))
        for one in shown
        if one.option_strings
    )
    return Command(
        name, _plain(told), options, tuple(str(one.metavar) for one in shown if not one.option_strings)
    )


def _plain(text: object) -> str:
    """Without what a shell would take for its own."""
    return "".join(char for char in str(text or "") if char not in "`\"'[]\\$")


# --- bash ----------------------------------------------------------------------


def bash(known: List[Command]) -> str:
    """Options of each command, and the words that may follow them."""
    cases = "\n".join(
        f"\t{one.name})\n"
        f"\t\toptions='{' '.join(name for option in one.options for name in option.names)}'\n"
        f"\t\tcase $prev in\n{_bash_values(one)}\t\t*) {_bash_words(one.arguments)} ;;\n\t\tesac\n\t\t;;"
        for one in known
    )
    return f"""\
# bash completion for {PROGRAM}; made from its command line when it was packaged
{FUNCTION}() {{
	local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
	local command= options= words= files= word
	for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
		[[ $word == -* ]] || {{ command=$word; break; }}
	done
	case $command in
	'')
		options='-h --help --version'
		words='{" ".join(one.name for one in known)}'
		;;
{cases}
	esac
	if [[ $words == {INCIDENT} ]]; then
		words=$(cd {INCIDENTS} 2>/dev/null && printf '%s\\n' *.json)
		words=${{words//.json/}}
		words=${{words/#\\*/}}
	fi
	[[ $cur == -* ]] && words=$options files=
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"; [[ -z $files ]] || compgen -f -- "$cur")
	[[ -z $files ]] || compopt -o filenames 2>/dev/null
}}
complete -F {FUNCTION} {PROGRAM}
"""


def _bash_values(command: Command) -> str:
    return "".join(
        f"\t\t{' | '.join(one.names)}) {_bash_words((one.value,))} options= ;;\n"
        for one in command.options
        if one.value
    )


def _bash_words(arguments: Tuple[str, ...]) -> str:
    first = arguments[0] if arguments else ""
    if first == FILE:
        return "files=1"
    return f"words='{INCIDENT if first == INCIDENT else ' '.join(WORDS.get(first, ()))}'"


# --- zsh -----------------------------------------------------------------------


def zsh(known: List[Command]) -> str:
    """One _arguments call for each command."""
    names = "\n".join(f"\t\t'{one.name}:{one.told}'" for one in known)
    cases = "\n".join(f"\t{one.name})\n\t\t_arguments \\\n{_zsh_specs(one)}\n\t\t;;" for one in known)
    return f"""\
#compdef {PROGRAM}
# made from its command line when it was packaged
{FUNCTION}_incidents() {{
	local -a incidents
	incidents=({INCIDENTS}/*.json(N:t:r))
	_describe incident incidents
}}
{FUNCTION}() {{
	local -a commands
	commands=(
{names}
	)
	if (( CURRENT == 2 )); then
		_describe command commands
		_arguments '(-h --help)'{{-h,--help}}'[show the help]' '--version[show the version]'
		return
	fi
	local command=$words[2]
	shift words
	(( CURRENT-- ))
	case $command in
{cases}
	esac
}}
{FUNCTION} "$@"
"""


def _zsh_specs(command: Command) -> str:
    specs = [_zsh_option(one) for one in command.options]
    specs += [f"'*:{_plain(one)}:{_zsh_words(one)}'" for one in command.arguments]
    return " \\\n".join(f"\t\t\t{spec}" for spec in specs)


def _zsh_option(option: Option) -> str:
    rest = f"[{option.told}]" + (
        f":{_plain(option.value)}:{_zsh_words(option.value)}" if option.value else ""
    )
    if len(option.names) == 1:
        return f"'{option.names[0]}{rest}'"
    return f"'({' '.join(option.names)})'{{{','.join(option.names)}}}'{rest}'"


def _zsh_words(argument: str) -> str:
    if argument == FILE:
        return "_files"
    if argument == INCIDENT:
        return f"{FUNCTION}_incidents"
    return f"({' '.join(WORDS.get(argument, ()))})"


# --- fish ----------------------------------------------------------------------


def fish(known: List[Command]) -> str:
    """One line for each word that may stand somewhere."""
    lines = [
        f"# fish completion for {PROGRAM}; made from its command line when it was packaged",
        f"function __{PROGRAM.replace('-', '_')}_incidents",
        f"\tfor file in {INCIDENTS}/*.json",
        "\t\tstring replace -r '.*/(.*)\\.json$' '$1' $file",
        "\tend",
        "end",
        f"complete -c {PROGRAM} -f",
        f"complete -c {PROGRAM} -n __fish_use_subcommand -s h -l help -d 'show the help'",
        f"complete -c {PROGRAM} -n __fish_use_subcommand -l version -d 'show the version'",
    ]
    for one in known:
        lines.append(f"complete -c {PROGRAM} -n __fish_use_subcommand -a {one.name} -d '{one.told}'")
        here = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {one.name}'"
        lines += [f"{here} {_fish_option(option)} -d '{option.told}'" for option in one.options]
        lines += [f"{here} {_fish_words(argument)}" for argument in one.arguments if _fish_words(argument)]
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    value = f"-r {_fish_words(option.value)}".rstrip() if option.value else ""
    return " ".join([*names, value]).rstrip()


def _fish_words(argument: str) -> str:
    if argument == FILE:
        return "-F"
    if argument == INCIDENT:
        return f"-a '(__{PROGRAM.replace('-', '_')}_incidents)'"
    return f"-a '{' '.join(WORDS[argument])}'" if argument in WORDS else ""


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: completions.py BASH ZSH FISH")
    for path, made in zip(sys.argv[1:], (bash, zsh, fish)):
        Path(path).write_text(made(commands()))
