"""Opens the results file of a run: a new file, or that of a resumed run."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable
from pathlib import Path

from gradbench import __version__
from gradbench.define.methods import methods
from gradbench.define.workloads import user_model
from gradbench.errors import RequestError
from gradbench.measure.ongoing import Measured
from gradbench.record.environment import Environment, differences
from gradbench.record.lines import SCHEMA, Writer, create
from gradbench.record.results import FILENAME, FORMAT, Header, Record, Results, locate, read_results


def create_results(
    output: Path, command: str, records: Iterable[Record], measured: Measured, environment: Environment
) -> tuple[Results, Writer]:
    """New results in a folder, begun with these records."""
    created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    labels = {method.name: method.label for method in methods()}
    header = Header(
        FORMAT,
        SCHEMA,
        __version__,
        created,
        command,
        measured.request,
        measured.options,
        environment,
        measured.plan,
        labels,
    )
    path = output / FILENAME
    results, writer = Results(path, header), create(path, header)
    for record in records:
        writer.write(record)
        results.add(record)
    return results, writer


def read_unfinished(output: Path, planned: bool) -> Results:
    """The results of the run in a folder, where it can be resumed; raises RequestError where it cannot.

    `planned`: the plan comes from the user's current code.
    """
    old = read_results(locate(output))
    if old.schema != SCHEMA:
        raise RequestError(
            f"{old.path}: cannot go on: an older gradbench wrote it, in schema {old.schema}, this one writes "
            f"schema {SCHEMA}; start a new run"
        )
    if old.compressed:
        raise RequestError(f"{old.path}: cannot go on: it is compressed; decompress it with gunzip first")
    if not planned and user_model.NAME in old.header.request.workloads:
        words = shlex.split(old.header.command)[:2]
        what, command = (
            ("an expression", "op EXPRESSION") if words[1:] == ["op"] else ("a model", "model FILE.py")
        )
        raise RequestError(
            f"{old.path}: cannot go on: it measures {what} of yours, and code is never run from a results "
            f"file; expected its command: gradbench {command} --resume --output " + shlex.quote(str(output))
        )
    return old


def expect_same_plan(old: Results, measured: Measured) -> None:
    """Raise RequestError where the current plan is not that of the old results."""
    if measured.plan == old.header.plan:
        return
    file = measured.file
    named = ", ".join(map(str, measured.files.values())) or str(file)
    what = f"the text of {named}, or what it defines" if file else "methods or workloads"
    if measured.again:
        what = "the expression, what it is computed on, or what it needs"
    raise RequestError(
        f"{old.path}: cannot go on: {what}, are not those that it was measured with, by gradbench "
        f"{old.header.gradbench}; start a new run"
    )


def reopen(old: Results, environment: Environment) -> tuple[Results, Writer]:
    """Old results, to add to. Raises RequestError where the machine is another, or the file is read-only."""
    changed = differences(old.header.environment, environment)
    if changed:
        raise RequestError(
            f"{old.path}: cannot go on: this machine or its software is not the run's: "
            f"{'; '.join(changed)}; start a new run"
        )
    try:
        return old, Writer(old.path, old.length, old.cut_off)
    except OSError as error:
        raise RequestError(f"{old.path}: cannot be written: {error.strerror}") from None
