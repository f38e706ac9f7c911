"""The HTML report: one self-contained file, from a results file alone."""

from gradbench.report.page import write_report

__all__ = ["write_report"]
