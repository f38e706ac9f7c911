"""What a probe is: a question about what a method does to tensors, as code that real tensors answer.

A probe is Python text that stands by itself: a reader can paste what was run. It leaves what it saw in
the dict `observed`. In a probe of the methods the line `VARIANT` stands for the method around the work.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.define.methods import Method
from gradbench.define.templates import fill, insert

NOTES = "https://docs.pytorch.org/docs/stable/notes/autograd.html"


@dataclass(frozen=True)
class Probe:
    """One question, and the code that answers it.

    Attributes:
        id: stable identifier, unique in the table; the trait of its observations.
        question: what is asked, in a sentence.
        source: the documentation that says what to expect.
        code: Python text that leaves what it saw in `observed`.
        work: expression for the work done on `{x}` under a method; None for a question about no method.
    """

    id: str
    question: str
    source: str
    code: str
    work: str | None = None

    def asks(self, method: Method) -> str:
        """The code for one method, with the method's own lines in the place of `VARIANT`."""
        return insert(self.code, fill(f"{method.setup}\n{method.within}", self.work or "{x}"))


# How most probes begin.
BEGIN = "import torch\n\nobserved = {}\n"

# What a probe may use to go on after an error that is itself an answer.
ATTEMPT = """
def attempt(name, action):
    try:
        action()
        observed[name] = True
    except RuntimeError as error:
        observed[name] = False
        observed[name + "_says"] = str(error).partition(". ")[0]
"""


PROFILE = """\
import torch
from torch.profiler import ProfilerActivity, profile

def held(profiler):
    events = profiler.profiler.kineto_results.events()
    return [event.nbytes() for event in events if event.name() == "[memory]"]

observed = {}
"""
