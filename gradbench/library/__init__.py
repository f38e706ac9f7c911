"""What notebooks and scripts call: measuring in their own process, and reading results files.

`gradbench.compare`, `gradbench.bytes`, `gradbench.model` and `gradbench.load` are defined here. They are
loaded when they are first asked for.
"""
