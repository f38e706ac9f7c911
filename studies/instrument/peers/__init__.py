"""gradbench and the tools that people use today: one question, one budget of wall time, in turns.

Each tool answers in a fresh process, used as its documentation advises. Its budget includes the start-up. The
docstring of a tool gives its settings, and the reason. A tool that watches the clock itself gets the time at
which to end. The settings of the other tools come from a dry call before the study. The time of every reading
corrects them.

The verdict of a tool on `again` against `a` follows the tool's rule. The tool's code gives it after the clock
of the budget has stopped.
"""
