"""gradbench beside the tools that people use today: one question, one budget of wall time, taking turns.

Each tool answers in a fresh process, start-up included in its budget, used as its documentation advises. The
docstring of each gives the choice that was made, and why. A tool that watches the clock itself gets the time
at which to end. The settings of the others follow from what a dry call before the study cost them, corrected
by what each reading really took.

The verdict of a tool on `again` against `a` follows the tool's rule and is run by the tool's code, after the
clock of the budget has stopped.
"""
