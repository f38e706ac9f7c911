"""gradbench beside the tools that people use today: one question, one budget of wall time, taking turns.

Each tool answers in a fresh process, start-up included in its budget, as its own documentation has it
used: the docstring of each says which choice was made, and why. A tool that watches the clock itself gets
the time at which to end. The others get settings that follow from what a dry call before the study cost
them, corrected by what each reading really took.

The verdict of a tool on `again` against `a` is its own rule, run by its own code, after the clock of the
budget has stopped.
"""
