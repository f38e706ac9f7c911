"""Whether evaluating under a method breaks what comes after; and how often a call enters a control."""

import torch

from gradbench.measure import entries
from gradbench.measure.entries import entered_often
from gradbench.measure.orders import orders
from gradbench.measure.training import Training
from gradbench.measure.variant import execute


class Cached(torch.nn.Linear):
    """Keeps what its first call computed of its weight, as whoever called it recorded or not."""

    def __init__(self):
        super().__init__(4, 2)
        self.kept = None

    def forward(self, x):
        if self.kept is None:
            self.kept = self.weight.t() * 2
        return x @ self.kept + self.bias


def fresh(model):
    def make():
        torch.manual_seed(0)
        return Training(model(), torch.rand(3, 4), lambda model, x: model(x), lambda y: y.square().mean())

    return make


def test_a_cache_that_is_filled_without_recording_costs_its_parameter_the_gradient():
    faults = orders(fresh(Cached), trains=True)
    assert {each.kind for each in faults} == {"state poisoned"}
    text = " ".join(each.sentence for each in faults)
    assert "an evaluation under torch.no_grad() breaks training after it: weight gets no gradient" in text
    assert "an evaluation under torch.inference_mode() breaks training after it" in text


def test_a_model_without_state_and_one_that_is_random_by_itself_are_left_in_peace():
    assert orders(fresh(lambda: torch.nn.Linear(4, 2)), trains=True) == []
    generator = torch.Generator()

    class Random(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) * torch.rand(1, generator=generator)

    assert orders(fresh(lambda: Random(4, 2)), trains=True) == []


ENTERS = """\
import torch


def often(x):
    for _ in range(40):
        with torch.no_grad():
            x.mean()


def once(x):
    with torch.no_grad():
        for _ in range(40):
            x.mean()


@torch.inference_mode()
def decorated(x):
    return x.mean()


def calls(x):
    for _ in range(40):
        decorated(x)
"""


def test_controls_that_are_entered_again_and_again_are_told_by_line_and_count(monkeypatch):
    names = execute(ENTERS, "net.py", "net.py")
    x = torch.rand(3)
    enter = torch.no_grad.__enter__

    def told(name):
        return [
            (each.line, each.sentence.partition(" here")[0])
            for each in entered_often(lambda: names[name](x), "net.py")
        ]

    assert told("often") == [("net.py:6", "a call enters no_grad() 40 times")]
    assert told("calls") == [("net.py:23", "a call enters inference_mode() 40 times")]
    assert told("once") == []
    # Of a call that is long it is nothing.
    monkeypatch.setattr(entries, "_shortest", lambda call: 10.0)
    assert told("often") == []
    assert torch.no_grad.__enter__ is enter


def test_modules_that_evaluate_while_others_train_stay_so():
    """A frozen normalisation is the usual case: put into training mode it would give other gradients."""

    def model():
        made = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
        made[1].eval()
        return made

    assert orders(fresh(model), trains=True) == []
