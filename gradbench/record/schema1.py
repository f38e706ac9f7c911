"""Reading files of schema 1, which used other names for the same things.

Schema 1 was written until November 2026. Its records differ from those of schema 2 in names. They also say
less: the tables of a version knew by name what is now a field of a row. So `upgrade` changes a line as plain
data, and the reader then decodes it as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Plain = dict[str, Any]

# Values, by workload, that files of schema 1 left to the tables of the version that read them.
_HEADLINES = (
    "mixed", "batch", "freeze.training", "target", "update", "zero_grad.step", "accumulate.evaluation",
    "retain", "custom.both", "placement",
)  # fmt: skip
_PURPOSES = {
    "elementwise": "Keep one tensor out of the graph",
    "chain": "Keep several operations out of the graph",
    "inference": "Evaluate a model",
    "attention": "Evaluate a model",
    "batch": "Evaluate batch after batch",
    "freeze.training": "Train a head on a frozen backbone",
    "target": "Make a training target",
    "update": "Write to parameters",
    "zero_grad.step": "Clear gradients",
    "accumulate.evaluation": "Add up a loss",
}

# Roles, and the names of variants that were called by their role.
_ROLES = {"reference": "baseline", "yardstick": "calibration_task"}


def upgrade(record: Plain) -> Plain:
    """The record with the names of schema 2."""
    change = _CHANGES.get(record.get("type", ""))
    return record if change is None else change(record)


def _renamed(record: Plain, **names: str) -> Plain:
    """The record with some fields under new names, in their old order."""
    return {names.get(name, name): value for name, value in record.items()}


def _header(record: Plain) -> Plain:
    record = {**record, "schema": 2}
    if "plan" in record:
        record["plan"] = {
            **record["plan"],
            "comparisons": [_comparison(each) for each in record["plan"]["comparisons"]],
            "metrics": [],
        }
    if "comparisons" in record:
        record["comparisons"] = [_comparison(each) for each in record["comparisons"]]
    return record


def _comparison(record: Plain) -> Plain:
    renamed = _renamed(record, lanes="variants", ways="alternatives")
    part = record.get("part", "")
    name = f"{record['workload']}.{part}" if part else record["workload"]
    return {
        **renamed,
        "variants": [_variant(each) for each in renamed["variants"]],
        "headline": name in _HEADLINES,
        "purpose": _PURPOSES.get(name, ""),
    }


def _variant(record: Plain) -> Plain:
    renamed = _renamed(record, feed="setup_per_call")
    for name in ("role", "name"):
        renamed[name] = _ROLES.get(renamed[name], renamed[name])
    # Copies, the limit that memory sets, were known by their name.
    limit = renamed["name"] == "copy"
    return {**renamed, "limit": limit, "recommendable": not limit and renamed["name"] != "tracked"}


def _visit(record: Plain) -> Plain:
    renamed = _renamed(record, lanes="variants")
    return {**renamed, "variants": _renamed(renamed["variants"], **_ROLES)}


def _of_variant(record: Plain) -> Plain:
    renamed = _renamed(record, lane="variant")
    return {**renamed, "variant": _ROLES.get(renamed["variant"], renamed["variant"])}


_CHANGES: dict[str, Callable[[Plain], Plain]] = {
    "header": _header,
    "visit": _visit,
    "pair_visit": _visit,
    "memory": _of_variant,
    "timeline": _of_variant,
    "kernels": _of_variant,
    "failure": _of_variant,
    "observation": lambda record: _renamed(record, seen="observed"),
    "side_memory": lambda record: {**record, "memory": _of_variant(record["memory"])},
    "side_failure": lambda record: {**record, "failure": _of_variant(record["failure"])},
}
