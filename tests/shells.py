"""What the verbs take in, a completion script for bash, zsh or fish out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAMES = "vmlaunch ps -a --names 2>/dev/null"


@record
class Argument:
    """An option, or without flags an operand; what its value may be: choices, names of VMs, files that end so."""

    flags: tuple[str, ...] = ()
    about: str = ""
    takes_value: bool = True
    choices: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    names: bool = False


@record
class Verb:
    name: str
    about: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        return tuple(one for one in self.arguments if one.flags)

    @property
    def operands(self) -> tuple[Argument, ...]:
        return tuple(one for one in self.arguments if not one.flags)


# `--format=s`: three words to most shells, one where = is no break.
_BASH_EQUALS = (
    "    local start=",
    "    if [[ $word == --*=* ]]; then before=${word%%=*} start=${word%%=*}= word=${word#*=}",
    '    elif [[ $word == "=" ]]; then word=',
    '    elif [[ $before == "=" ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi',
)
# Behind `boot.cmdline=` the value follows without a blank.
_BASH_ENDS = (
    "_vmlaunch_ends() {",
    '    COMPREPLY=("${COMPREPLY[@]/#/$start}")',
    "    [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null",
    "    return 0",
    "}",
)


def bash(verbs: Sequence[Verb]) -> str:
    values = [line for verb in verbs for one in verb.options if one.takes_value for line in _bash_value(verb, one)]
    rest = [line for verb in verbs for line in _bash_verb(verb)]
    return "\n".join(
        [
            "# vmlaunch completion for bash: source <(vmlaunch completion bash)",
            "_vmlaunch() {",
            "    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} before=${COMP_WORDS[COMP_CWORD-1]}",
            "    if ((COMP_CWORD == 1)); then",
            f'        mapfile -t COMPREPLY < <(compgen -W "{" ".join(one.name for one in verbs)}" -- "$word")',
            "        return",
            "    fi",
            *_BASH_EQUALS,
            '    case "$verb $before" in',
            *values,
            "    esac",
            '    case "$verb $word" in',
            *rest,
            "    esac",
            "    _vmlaunch_ends",
            "}",
            *_BASH_ENDS,
            "complete -o filenames -F _vmlaunch vmlaunch",
            "",
        ]
    )


def _bash_value(verb: Verb, option: Argument) -> list[str]:
    pattern = " | ".join(f'"{verb.name} {flag}"' for flag in option.flags)
    return [f"        {pattern}) {_compgen((option,))}; _vmlaunch_ends; return ;;"]


def _bash_verb(verb: Verb) -> list[str]:
    flags = " ".join(flag for one in verb.options for flag in one.flags)
    return [
        f'        "{verb.name} -"*) mapfile -t COMPREPLY < <(compgen -W "{flags}" -- "$word") ;;',
        f'        "{verb.name} "*) {_compgen(verb.operands)} ;;',
    ]


def _compgen(arguments: Sequence[Argument]) -> str:
    words = " ".join(
        [*(choice for one in arguments for choice in one.choices), *(f"$({NAMES})" for one in arguments if one.names)]
    )
    endings = [ending for one in arguments for ending in one.files]
    ways = [f'-W "{words}"'] if words else []
    ways += ["-f"] if "" in endings else ["-d", *(f"-f -X '!*{ending}'" for ending in endings)] if endings else []
    commands = "; ".join(f'compgen {way} -- "$word"' for way in ways)
    return f"mapfile -t COMPREPLY < <({commands})" if commands else "COMPREPLY=()"


def zsh(verbs: Sequence[Verb]) -> str:
    listed = [f"        {_quoted(f'{one.name}:{one.about}')}" for one in verbs]
    cases = [line for verb in verbs for line in _zsh_verb(verb)]
    return "\n".join(
        [
            "#compdef vmlaunch",
            "# vmlaunch completion for zsh: put it into a folder of $fpath as _vmlaunch",
            '_vmlaunch_names() { compadd -- ${(f)"$(' + NAMES + ')"} }',
            "_vmlaunch() {",
            "    local -a verbs=(",
            *listed,
            "    )",
            "    if ((CURRENT == 2)); then",
            "        _describe verb verbs",
            "        return",
            "    fi",
            "    local verb=$words[2]",
            "    shift words",
            "    ((CURRENT--))",
            "    case $verb in",
            *cases,
            "    esac",
            "}",
            'if [[ $funcstack[1] == _vmlaunch ]]; then _vmlaunch "$@"; else compdef _vmlaunch vmlaunch; fi',
            "",
        ]
    )


def _zsh_verb(verb: Verb) -> list[str]:
    options = [_zsh_spec(flag, one) for one in verb.options for flag in one.flags]
    operands = [f"*:{_zsh_values(one)}" for one in verb.operands]
    return [f"        {verb.name}) _arguments {' '.join(map(_quoted, [*options, *operands]))} ;;"]


def _zsh_spec(flag: str, option: Argument) -> str:
    about = "".join(f"\\{sign}" if sign in "[]:" else sign for sign in option.about)
    if not option.takes_value:
        return f"*{flag}[{about}]"
    joined = "=" if flag.startswith("--") else ""  # the value as the next word, or behind a =
    return f"*{flag}{joined}[{about}]:{_zsh_values(option)}"


def _zsh_values(argument: Argument) -> str:
    if argument.choices and argument.choices[0].endswith("="):
        return f'value:{{compadd -S "" -- {" ".join(argument.choices)}}}'
    if argument.choices:
        return f"value:({' '.join(argument.choices)})"
    pattern = "" if "" in argument.files else f' -g "*({"|".join(argument.files)})"'
    kinds = ((f"_files{pattern}", argument.files), ("_vmlaunch_names", argument.names))
    ways = [way for way, wanted in kinds if wanted]
    return f"value:{{{'; '.join(ways)}}}" if ways else "value: "


def fish(verbs: Sequence[Verb]) -> str:
    lines = ["# vmlaunch completion for fish: vmlaunch completion fish | source", "complete -c vmlaunch -f"]
    for verb in verbs:
        lines.append(f"complete -c vmlaunch -n __fish_use_subcommand -a {verb.name} -d {_quoted(verb.about)}")
        lines += [_fish_argument(verb, one) for one in verb.arguments]
    return "\n".join([*lines, ""])


def _fish_argument(verb: Verb, argument: Argument) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in argument.flags)
    ending = "|".join(one.replace(".", "[.]") for one in argument.files)
    paths = f'(__fish_complete_path (commandline -ct) | string match -r -- "^.*(?:/|{ending})(?:\\t.*)?\\$")'
    given = paths if ending and "" not in argument.files else ""
    values = " ".join(filter(None, [*argument.choices, f"({NAMES})" if argument.names else "", given]))
    wants = "-r -F" if "" in argument.files else "-x" if argument.flags and argument.takes_value else ""
    parts = [
        f"complete -c vmlaunch -n '__fish_seen_subcommand_from {verb.name}'",
        flags,
        wants,
        f"-a {_quoted(values)}" if values else "",
        f"-d {_quoted(argument.about)}" if argument.about and argument.flags else "",
    ]
    return " ".join(part for part in parts if part)


def _quoted(text: str) -> str:
    """In single quotes, for all three shells; the texts are ours and have no quote in them but in words."""
    return "'" + text.replace("'", "’") + "'"


WRITERS: dict[str, Callable[[Sequence[Verb]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
