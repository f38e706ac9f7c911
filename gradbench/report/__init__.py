"""The HTML report: one self-contained file, from a results file alone."""

import logging

# Where its cache cannot be written matplotlib says so twice as it is imported, and draws all the same.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

from gradbench.report.page import write_report  # noqa: E402

__all__ = ["write_report"]
