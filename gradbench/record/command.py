"""The command that goes on with a run, made from the command that began it."""

from __future__ import annotations

import shlex

# Options without a value. Every other option has one, behind it or behind an equals sign.
_FLAGS = ("--resume", "--report", "--no-report", "--quiet", "--modules", "--cold")
# These options decide what an expression is. A run that goes on reads them again.
_OF_AN_EXPRESSION = ("--shape", "--dtype", "--device", "--setup", "--setup-file", "--against")


def resuming(command: str, options: str) -> str:
    """The command that goes on with the run that `command` began, with --resume and these options.

    Empty where `command` is not a command of gradbench.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    if words[:1] != ["gradbench"] or words[1:2] not in (["run"], ["model"], ["op"]):
        return ""
    kept, given = _parts(words[2:])
    name = words[1]
    kept = kept if name == "op" else []
    given = [] if name == "run" else given
    if any(each.startswith("-") for each in given):
        # Behind `--` no word is an option.
        return " ".join([shlex.join(["gradbench", name, *kept]), options, shlex.join(["--", *given])])
    return f"{shlex.join(['gradbench', name, *given, *kept])} {options}"


def _parts(words: list[str]) -> tuple[list[str], list[str]]:
    """The options of an expression, with their values; and the other words."""
    kept: list[str] = []
    given: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, _ = word.partition("=")
        if word == "--":
            given += rest
        elif not word.startswith("--"):
            given.append(word)
        elif word not in _FLAGS:
            pair = [word] if equals else [word, *([value] if (value := next(rest, None)) is not None else [])]
            kept += pair if option in _OF_AN_EXPRESSION else []
    return kept, given
