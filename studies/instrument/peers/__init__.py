"""gradbench beside the tools that people use today: one question, one budget of wall time, taking turns.

Each tool answers in a fresh process, used as its documentation advises; the budget includes the start-up. The
docstring of each tool gives its settings, and the reason. A tool that watches the clock gets the time at
which to end. The settings of the others follow from the time of a dry call before the study, corrected by the
real time of each reading.

The verdict of a tool on `again` against `a` follows the tool's rule. The tool's code computes it, after the
clock of the budget has stopped.
"""
