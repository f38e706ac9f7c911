"""The row of a probe: a question about the effect of a method, as code that real tensors answer.

A probe is a whole Python program as text, so that a reader can paste and run it. It leaves its observations
in the dict `observed`. In a probe of the methods the line `VARIANT` stands for the method around the work.
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
        question: the question, in a sentence.
        source: the documentation that says what to expect.
        code: Python text that leaves its observations in `observed`.
        work: expression for the work done on `{x}` under a method; None for a question about no method.
    """

    id: str
    question: str
    source: str
    code: str
    work: str | None = None

    def asks(self, method: Method) -> str:
        """The code for one method, with the method's lines in the place of `VARIANT`."""
        return insert(self.code, fill(f"{method.setup}\n{method.within}", self.work or "{x}"))


# The first lines of most probes.
BEGIN = "import torch\n\nobserved = {}\n"

# With this function a probe goes on after an error that is itself an answer.
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
