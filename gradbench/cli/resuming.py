"""A run that is resumed: the options that go with --resume are the run's, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gradbench.cli.options import size_as_given
from gradbench.define.sizes import parse_size
from gradbench.errors import RequestError
from gradbench.record.devices import all_of
from gradbench.record.plan import Request
from gradbench.record.results import Header


def given(name: str) -> bool:
    """Whether the parameter of that name was given to the command that runs."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def refuse_changes(header: Header, folder: Path) -> None:
    """Raise RequestError where an option of the plan was given, and is not what the run has."""
    context = click.get_current_context()
    run = _options_of(header)
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in run or not given(name):
            continue
        asked, kept = context.params[name], run[name]
        if _comparable(name, asked, header) != _comparable(name, kept, header):
            flag = parameter.opts[0]
            begun = f"without {flag}" if kept is None else f"with {flag} {_words(name, kept)}"
            raise RequestError(
                f"{flag} {_words(name, asked)}: --resume goes on as the run in {folder} was begun, {begun}; "
                f"leave {flag} out, or start a new run"
            )


def _options_of(header: Header) -> dict[str, Any]:
    """The options that decide what is measured, by the names of the parameters, as the run has them."""
    request, options = header.request, header.options
    from_request = ("workloads", "methods", "sizes", "device", "cold", "dtype", "seed")
    from_options = ("preset", "threads", "allocator", "timeout", "fit")
    return {
        **{name: getattr(request, name) for name in from_request},
        **{name: getattr(options, name) for name in from_options},
    }


def _comparable(name: str, value: Any, header: Header) -> object:
    """The same for two values that mean the same: order is of no account, and 1e3 is 1000."""
    if name == "sizes":
        return {size for text in value for size in parse_size(text)}
    if name == "device":
        if value == "all":
            value = all_of(header.environment.devices)
        return set(Request(device=value).devices)
    return set(value) if isinstance(value, tuple) else value


def _words(name: str, value: Any) -> str:
    """A value as its option takes it; of a flag, whether it was set."""
    if name == "fit":
        return size_as_given(value)
    if isinstance(value, bool):
        return "set" if value else "not set"
    if isinstance(value, tuple):
        return ",".join(value) or "all"
    return f"{value:g}" if isinstance(value, float) else str(value)
