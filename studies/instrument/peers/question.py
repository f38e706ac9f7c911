"""The question for each tool: how long do six statements take?

Three are short (about 350 ns) and three are long (about 3 µs). In each group, `again` is `a` word for word,
and `more` is `a` with one line more. So the true ratios to `a` are known without a measurement: 1 and 7/6,
1 and 11/10.
"""

from __future__ import annotations

import textwrap

from studies.instrument.variants import repeated

SETUP = """\
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.rand(100).requires_grad_()
"""
# By group: the line, and how many times `a` has it.
GROUPS = {"short": ("x.requires_grad_()", 6), "long": ("x.detach()", 10)}
STATEMENTS = {
    f"{group}/{name}": repeated(line, times + extra)
    for group, (line, times) in GROUPS.items()
    for name, extra in (("a", 0), ("again", 0), ("more", 1))
}
TRUTH = {
    f"{group}/{name}": (times + extra) / times
    for group, (_, times) in GROUPS.items()
    for name, extra in (("again", 0), ("more", 1))
}


def identifier(statement: str) -> str:
    """The name of a statement as a part of a function's name."""
    return statement.replace("/", "_")


def function(head: str, statement: str) -> str:
    """A function that does the statement; x is a local, as in a user's function."""
    return f"{head}\n{textwrap.indent(statement, '    ')}\n"
