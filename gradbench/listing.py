"""What can be measured: the tables of methods, workloads and sizes, and the devices that torch finds."""

from __future__ import annotations

import io
from typing import Any

from gradbench.methods import METHODS, REFERENCE
from gradbench.plan import DTYPES
from gradbench.workloads import WORKLOADS


def as_data(devices: bool) -> dict[str, Any]:
    """The tables as plain data; `devices` starts a process with torch to ask it."""
    data: dict[str, Any] = {
        "methods": [
            {
                "name": method.name,
                "label": method.label,
                "scope": method.scope,
                "effect": method.effect,
                "since": method.since,
                "source": method.source,
                "reference": method.name == REFERENCE,
            }
            for method in METHODS
        ],
        "workloads": [
            {
                "name": workload.name,
                "title": workload.title,
                "shows": workload.shows,
                "sizes": dict(workload.sizes),
            }
            for workload in WORKLOADS
        ],
        "dtypes": list(DTYPES),
    }
    if devices:
        data["devices"] = _devices()
    return data


def _devices() -> list[str]:
    from gradbench.job import Job
    from gradbench.worker import WorkerProcess

    with WorkerProcess(Job(0, "memory", 0, 1), 0, 0, "system") as worker:
        return list(worker.ready().environment.devices)


def as_text(data: dict[str, Any]) -> str:
    """The tables for a terminal."""
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    console = Console(file=text, width=110, highlight=False)
    methods = Table("method", "as written", "since", "what it does", title="Methods", title_justify="left")
    for row in data["methods"]:
        name = row["name"] + (" (reference)" if row["reference"] else "")
        methods.add_row(name, row["label"], row["since"], row["effect"])
    workloads = Table("workload", "small", "medium", "large", "what it shows", title="Workloads")
    workloads.title_justify = "left"
    for row in data["workloads"]:
        workloads.add_row(row["name"], *(f"{row['sizes'][size]:,}" for size in row["sizes"]), row["shows"])
    console.print(methods, workloads)
    console.print("Sizes are elements of x; --size also takes a number or a sweep. Dtypes: ", end="")
    console.print(", ".join(data["dtypes"]) + ".")
    if "devices" in data:
        console.print("Devices here: " + ", ".join(data["devices"]) + ".")
    return text.getvalue().rstrip()
