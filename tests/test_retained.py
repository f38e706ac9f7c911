"""A backward that keeps its graph: without use it is said with its price, and with use it is not."""

import pytest
import torch

from gradbench.measure.retained import retained_without_use
from gradbench.measure.variant import execute

FILE = """\
import torch
w = torch.rand(64, 64, requires_grad=True)
x = torch.rand(32, 64)


def plain():
    y = (x @ w).exp().sum()
    y.backward(retain_graph=True)
    z = torch.rand(200, 200).exp()


def twice():
    y = (x @ w).exp().sum()
    y.backward(retain_graph=True)
    y.backward()


def by_grad():
    y = (x @ w).exp().sum()
    torch.autograd.grad(y, w, retain_graph=True)
    z = torch.rand(200, 200).exp()


def higher():
    y = (x @ w).exp().sum()
    (g,) = torch.autograd.grad(y, w, create_graph=True, retain_graph=True)
    g.sum().backward()
"""


@pytest.mark.parametrize(("name", "line"), [("plain", 8), ("twice", None), ("by_grad", 20), ("higher", None)])
def test_a_graph_that_is_kept_for_nothing_is_told_by_line_and_price(name, line):
    names = execute(FILE, "net.py", "net.py")
    before = torch.autograd.backward, torch.autograd.grad

    def call():
        names["w"].grad = None
        names[name]()

    faults = retained_without_use(call, "net.py")
    assert [each.line for each in faults] == ([f"net.py:{line}"] if line else [])
    # The result of exp, 32 × 64 floats, is what the graph has saved, beside the two of 200 × 200.
    for each in faults:
        assert each.bytes == 32 * 64 * 4
        assert "8,192 B more at the peak" in each.sentence
    assert (torch.autograd.backward, torch.autograd.grad) == before
