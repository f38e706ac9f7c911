"""A results file in forms that other programs, and people, read: one file for each form.

To add a form, write a file with its function and add a row to `FORMS`; everything else takes it from
`forms()`.
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
    Form("github-action", "What github-action-benchmark reads: ratios and bytes.", to_github_action),
    Form("pyperf", "What pyperf reads: a benchmark for each variant, a run for each pass.", to_pyperf),
)

__all__ = ["FORMS", "Form", "form", "forms"]


def forms() -> tuple[Form, ...]:
    """The forms of gradbench, and those of extensions. Raises RequestError for an extension at fault."""
    return distinct("exports", extended("exports", FORMS, lambda row: row.name), lambda row: row.name)


def form(name: str) -> Form:
    """The form of this name. Raises RequestError where there is none."""
    (found,) = choose("--to", (name,), forms(), lambda row: row.name)
    return found
