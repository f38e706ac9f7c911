"""A results file in forms for other programs and for people: one file for every form.

To add a form, write a file with its function and add a row to `FORMS`; everything else reads `forms()`.
"""

from __future__ import annotations

from gradbench.extension import choose, distinct, extended
from gradbench.report.export.form import Form
from gradbench.report.export.github_action import to_github_action
from gradbench.report.export.markdown import to_markdown
from gradbench.report.export.pyperf import to_pyperf
from gradbench.report.export.tidy_csv import to_csv

FORMS: tuple[Form, ...] = (
    Form("csv", "The tidy table: a row for each variant and metric, in seconds and bytes.", to_csv),
    Form("markdown", "A table for people: time, ratio, verdict and memory of each method.", to_markdown),
    Form("github-action", "Ratios and bytes for github-action-benchmark.", to_github_action),
    Form("pyperf", "A benchmark for each variant, a run for each pass, for pyperf.", to_pyperf),
)

__all__ = ["FORMS", "Form", "form", "forms"]


def forms() -> tuple[Form, ...]:
    """The forms of gradbench and of extensions. Raises RequestError for a faulty extension."""
    return distinct("exports", extended("exports", FORMS, lambda row: row.name), lambda row: row.name)


def form(name: str) -> Form:
    """The form of this name. Raises RequestError where there is none."""
    (found,) = choose("--to", (name,), forms(), lambda row: row.name)
    return found
