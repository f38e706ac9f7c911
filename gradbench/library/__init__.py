"""The functions for notebooks and scripts: they measure in the caller's process, and read results files.

`gradbench.compare`, `gradbench.bytes`, `gradbench.model` and `gradbench.load` are defined here. They are
loaded at their first use.
"""
