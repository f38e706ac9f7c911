"""Lists of methods, workloads, sizes, metrics, forms of export, and the devices that torch finds."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from gradbench.define.dtypes import DTYPES
from gradbench.define.methods import BASELINE, methods
from gradbench.define.metrics import metrics
from gradbench.define.workloads import PRESETS, Workload, workloads
from gradbench.errors import RequestError
from gradbench.record.observation import Observation
from gradbench.report.export import forms

if TYPE_CHECKING:
    from gradbench.measure.process import WorkerProcess


def as_data(devices: bool) -> dict[str, Any]:
    """The tables as plain data; `devices` starts a process with torch to ask it."""
    data: dict[str, Any] = {
        "methods": [
            _fields(method, "name", "label", "scope", "effect", "since", "source")
            | {"baseline": method.name == BASELINE}
            for method in methods()
        ],
        "workloads": [_workload(parts) for parts in _by_name().values()],
        "dtypes": list(DTYPES),
        "metrics": [_fields(metric, "name", "unit", "label", "meaning", "exact") for metric in metrics()],
        "exports": [_fields(form, "name", "effect") for form in forms()],
    }
    if devices:
        with _looking() as worker:
            data["devices"] = list(worker.ready().environment.devices)
    return data


def _fields(row: object, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _by_name() -> dict[str, list[Workload]]:
    named: dict[str, list[Workload]] = {}
    for workload in workloads():
        named.setdefault(workload.name, []).append(workload)
    return named


def _workload(parts: list[Workload]) -> dict[str, Any]:
    first = parts[0]
    alternatives = {row.name: row for each in parts for row in each.alternatives}
    return {
        "name": first.name,
        "title": first.title.partition(":")[0],
        "parts": [each.part for each in parts if each.part],
        "shows": " ".join(dict.fromkeys(each.shows for each in parts)),
        "sizes": dict(first.sizes),
        "presets": [name for name in PRESETS if any(each.presets.get(name) for each in parts)],
        "purposes": list(dict.fromkeys(each.purpose for each in parts if each.purpose)),
        "alternatives": [_fields(row, "name", "label", "effect", "source") for row in alternatives.values()],
    }


def _looking() -> WorkerProcess:
    """A process with torch, to ask it."""
    from gradbench.measure.process import WorkerProcess
    from gradbench.measure.protocol import WorkerSettings

    return WorkerProcess(WorkerSettings(0, "memory", 0, 1), 0, 0, "system")


def check_extensions() -> None:
    """Load all that extensions add to any table. Raises RequestError for an extension at fault.

    A run does so before it measures, and not when it builds its report.
    """
    from gradbench.analyse.claims import claims

    for table in (methods, workloads, metrics, claims, forms):
        table()


def label_of(method: str) -> str:
    return next((each.label for each in methods() if each.name == method), method)


def observe() -> list[Observation]:
    """Observations of the methods on this machine, by a separate process. Raises RequestError."""
    from gradbench.measure.process import WorkerLost
    from gradbench.measure.protocol import Task

    with _looking() as worker:
        worker.ready()
        try:
            return [each for each in worker.visit(Task(None, 0.0), 120.0) if isinstance(each, Observation)]
        except WorkerLost as lost:
            raise RequestError(f"the methods could not be observed: {lost}; run it again") from None


def as_text(data: dict[str, Any]) -> str:
    """The tables for a terminal."""
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    console = Console(file=text, width=110, highlight=False)
    methods = Table("method", "as written", "since", "what it does", title="Methods", title_justify="left")
    for row in data["methods"]:
        name = row["name"] + (" (baseline)" if row["baseline"] else "")
        methods.add_row(name, row["label"], row["since"], row["effect"])
    workloads = Table("workload", "small", "medium", "large", "what it shows", "from", title="Workloads")
    workloads.title_justify = "left"
    for row in data["workloads"]:
        sizes = (f"{row['sizes'][size]:,}" for size in row["sizes"])
        workloads.add_row(row["name"], *sizes, row["shows"], next(iter(row["presets"]), "by name"))
    metrics = Table("metric", "unit", "what it is", title="Metrics", title_justify="left")
    for row in data["metrics"]:
        metrics.add_row(row["name"], row["unit"], row["meaning"])
    exports = Table("export --to", "what it is", title="Forms of export", title_justify="left")
    for row in data["exports"]:
        exports.add_row(row["name"], row["effect"])
    console.print(methods, workloads, metrics, exports)
    console.print("Sizes are elements of x; --size also takes a number or a sweep. Dtypes: ", end="")
    console.print(", ".join(data["dtypes"]) + ".")
    if "devices" in data:
        console.print("Devices here: " + ", ".join(data["devices"]) + ".")
    return text.getvalue().rstrip()
