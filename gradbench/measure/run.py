"""A run: started in a new folder, or gone on with.

The parent owns the results file and imports no torch. Every visit is written as it arrives, so that a
run may be ended at any moment; `resume` finishes what is missing and adds passes.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gradbench import __version__
from gradbench.define.methods import methods
from gradbench.define.planner import plan_run
from gradbench.define.workloads import user_model
from gradbench.errors import RequestError
from gradbench.measure.devices import resolve_devices
from gradbench.measure.one_pass import Measured
from gradbench.measure.passes import Passes
from gradbench.measure.steering import Steering
from gradbench.record.environment import Environment, differences
from gradbench.record.lines import SCHEMA, Writer, create
from gradbench.record.plan import Plan, Request
from gradbench.record.results import (
    FILENAME,
    FORMAT,
    Header,
    Options,
    Record,
    Results,
    locate,
    new_folder,
    read_results,
)


@dataclass(frozen=True)
class Order:
    """What is asked of a new run, and kept with it.

    A plan made by hand takes the place of the request's, as one made of a `file` of the user's does. Such a
    run is resumed only with the same plan: code is never run from a results file.

    Attributes:
        command: as the user gave it.
        calls: by comparison id seconds of a call, where that is known beforehand.
        records: that follow the header, known before anything is measured.
        files: where the plan is made of several, by name where each stands; `file` is the first of them.
        again: the words that begin a command which goes on with the run; empty for those of `file`.
    """

    request: Request
    options: Options
    command: str
    plan: Plan | None = None
    file: Path | None = None
    calls: Mapping[str, float] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    again: tuple[str, ...] = ()


def start(output: Path, order: Order, steering: Steering) -> Results:
    """Measure what was ordered into a new folder.

    Raises RequestError before anything is written when the request cannot be met, and EndedEarly when
    the run was interrupted, with its finished visits kept.
    """
    new_folder(output)
    request, options, plan = order.request, order.options, order.plan
    if plan is None and request.device != "cpu":
        request = resolve_devices(request)
    plan = plan or plan_run(request)

    def begin(environment: Environment) -> tuple[Results, Writer]:
        created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        labels = {method.name: method.label for method in methods()}
        header = Header(
            FORMAT, SCHEMA, __version__, created, order.command, request, options, environment, plan, labels
        )
        path = output / FILENAME
        results, writer = Results(path, header), create(path, header)
        for record in order.records:
            writer.write(record)
            results.add(record)
        return results, writer

    measured = Measured(plan, request, options, order.file, order.calls, order.files, order.again)
    return Passes(measured, steering, begin, None).go()


def resume(
    output: Path,
    steering: Steering,
    plan: Plan | None = None,
    file: Path | None = None,
    calls: Mapping[str, float] = MappingProxyType({}),
    files: Mapping[str, Path] = MappingProxyType({}),
    again: tuple[str, ...] = (),
) -> Results:
    """Go on with the run in a folder: its plan, its options, its results.

    What was measured of a `file` of the user's needs the `plan` that is made of it now, and by comparison id
    the seconds of its `calls`; so does what was measured of an expression. Of several files `files` says by
    name where each stands. `again` is as in `Order`.

    Raises RequestError, with nothing changed, when there is no run, or it was measured elsewhere.
    """
    old = read_results(locate(output))
    if old.schema != SCHEMA:
        raise RequestError(
            f"{old.path}: cannot go on: an older gradbench wrote it, in schema {old.schema}, this one writes "
            f"schema {SCHEMA}; start a new run"
        )
    if old.compressed:
        raise RequestError(f"{old.path}: cannot go on: it is compressed; decompress it with gunzip first")
    if plan is None and user_model.NAME in old.header.request.workloads:
        words = shlex.split(old.header.command)[:2]
        what, command = (
            ("an expression", "op EXPRESSION") if words[1:] == ["op"] else ("a model", "model FILE.py")
        )
        raise RequestError(
            f"{old.path}: cannot go on: it measures {what} of yours, and code is never run from a results "
            f"file; expected its own: gradbench {command} --resume --output " + shlex.quote(str(output))
        )
    # Code is run from our own tables or the user's file, never from results; and passes of one run time the
    # same code.
    plan = plan or plan_run(old.header.request)
    if plan != old.header.plan:
        named = ", ".join(map(str, files.values())) or str(file)
        what = f"the text of {named}, or what it defines" if file else "methods or workloads"
        if again:
            what = "the expression, what it is computed on, or what it needs"
        raise RequestError(
            f"{old.path}: cannot go on: {what}, are not those that it was measured with, by gradbench "
            f"{old.header.gradbench}; start a new run"
        )

    def begin(environment: Environment) -> tuple[Results, Writer]:
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

    measured = Measured(plan, old.header.request, old.header.options, file, calls, files, again)
    return Passes(measured, steering, begin, old).go()
