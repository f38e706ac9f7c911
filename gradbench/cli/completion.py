"""Completions for the shell's tab key: names of the tables, and runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from gradbench.cli.folders import RUNS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# click's scripts for a shell set this variable. click's documentation has the lines that load them.
VARIABLE = "_GRADBENCH_COMPLETE"

Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def answer_shell(group: click.Group) -> int | None:
    """Answer a shell that asks for completions; its exit code, or None where no shell asks."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    from click.shell_completion import shell_complete

    return shell_complete(group, {}, "gradbench", VARIABLE, asked)


def offer(names: Callable[[], Iterable[str]]) -> Complete:
    """Completes one of the names, or the last of several with commas between them."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",")
        found = dict.fromkeys(name for name in names() if name.startswith(last))
        return [CompletionItem(f"{before}{comma}{name}") for name in found]

    return complete


def offer_paths(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leaves the completion of a file or a folder to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def offer_runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes the folder of a run in runs/; where none fits, any file or folder."""
    from click.shell_completion import CompletionItem

    folders = sorted({str(path.parent) for path in RUNS.glob("*/*.jsonl*")})
    found = [CompletionItem(folder) for folder in folders if folder.startswith(incomplete)]
    return found or offer_paths(context, parameter, incomplete)


def workload_names() -> Iterable[str]:
    from gradbench.define.workloads import workloads

    return (workload.name for workload in workloads())


def method_names() -> Iterable[str]:
    from gradbench.define.methods import methods

    return (method.name for method in methods())


def size_names() -> Iterable[str]:
    from gradbench.define.sizes import CLASSES

    return CLASSES


def dtype_names() -> Iterable[str]:
    from gradbench.define.dtypes import DTYPES

    return DTYPES


def claim_names() -> Iterable[str]:
    from gradbench.analyse.claims import claims

    return (claim.id for claim in claims())


def form_names() -> Iterable[str]:
    from gradbench.report.export import forms

    return (form.name for form in forms())
