"""What of the command that began a run is needed to go on with it."""

from __future__ import annotations

import shlex

# Without a value. Every other option has one, behind it or behind an equals sign.
_FLAGS = ("--resume", "--report", "--no-report", "--quiet", "--modules", "--cold")
# What decides what an expression is, and is looked at anew when a run of it goes on.
_OF_AN_EXPRESSION = ("--shape", "--dtype", "--device", "--setup", "--setup-file", "--against")


def resuming(command: str, options: str) -> str:
    """The command that goes on with the run that `command` began, with --resume and these options.

    Empty where that cannot be known: where `command` is none of ours.
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
        # Behind `--` nothing is taken for an option.
        return " ".join([shlex.join(["gradbench", name, *kept]), options, shlex.join(["--", *given])])
    return f"{shlex.join(['gradbench', name, *given, *kept])} {options}"


def _parts(words: list[str]) -> tuple[list[str], list[str]]:
    """The options of an expression, with their values; and what is no option."""
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
