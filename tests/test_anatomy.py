"""What each module keeps for the backward: by the arithmetic of shapes, to the byte of what is saved."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from gradbench.analyse.screen_modules import OUTSIDE, by_module
from gradbench.measure.anatomy import Watched
from gradbench.measure.execution import saving, storage_bytes
from gradbench.measure.variant import execute
from gradbench.record.anatomy import Anatomy

FLOAT = 4


def watch(model, x, loss=lambda y: y.square().mean(), file="net.py"):
    """What is kept of forward and loss, and the result that holds it."""
    watched = Watched(model, x, file)
    with watched.watching():
        value = loss(model(x))
    return watched.kept(), watched.called, value


def rows(kept):
    return {(each.module, each.operator, each.role): each.bytes for each in kept}


def test_each_storage_is_the_first_modules_that_saved_it_and_they_add_up_to_what_is_saved():
    model, x = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), torch.rand(5, 8)
    kept, called, value = watch(model, x)
    assert rows(kept) == {
        ("0", "linear", "input"): 5 * 8 * FLOAT,
        ("1", "relu", "activation"): 5 * 16 * FLOAT,
        ("2", "linear", "parameter"): 16 * 4 * FLOAT,
        ("", "square", "activation"): 5 * 4 * FLOAT,
    }
    assert next(each.also for each in kept if each.module == "1") == ("2",)
    assert called == ["", "0", "1", "2"]
    with saving() as held:
        again = model(x).square().mean()
        assert sum(each.bytes for each in kept) == held.bytes()
    del value, again


class Adapted(nn.Module):
    """A frozen convolution, and beside it a low-rank one that is trained."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.down = nn.Conv2d(16, 4, 3, padding=1, bias=False)
        self.up = nn.Conv2d(4, 16, 1, bias=False)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return self.inner(x) + self.up(self.down(self.drop(x))) * 2.0


@pytest.mark.parametrize(("adapted", "saved"), [(False, 1_511_424), (True, 3_576_832)])
def test_a_low_rank_adapter_keeps_more_than_the_whole_training(adapted, saved):
    """After peft#2196: four convolutions of 16 channels on 8 × 16 × 24 × 24 elements."""
    layers = []
    for _ in range(4):
        convolution = nn.Conv2d(16, 16, 3, padding=1)
        layers += [Adapted(convolution) if adapted else convolution, nn.ReLU()]
    kept, _, value = watch(nn.Sequential(*layers), torch.rand(8, 16, 24, 24))
    assert sum(each.bytes for each in kept) == saved
    del value


def test_a_frozen_convolution_keeps_its_input_to_pass_a_gradient_on():
    model = nn.Sequential(*(nn.Conv2d(2, 2, 1, bias=False) for _ in range(3)))
    model[1].requires_grad_(False)
    kept, _, value = watch(model, torch.rand(3, 2, 5, 5))
    passing = [each for each in kept if each.passes_on]
    assert [(each.module, each.bytes) for each in passing] == [("1", 3 * 2 * 5 * 5 * FLOAT)]
    # What is frozen from the beginning keeps nothing, and there is nothing to pass.
    model[0].requires_grad_(False)
    kept, _, second = watch(model, torch.rand(3, 2, 5, 5))
    assert not any(each.passes_on for each in kept)
    del value, second


FILE = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        y = self.inner(x)
        return y.exp()
"""


def test_the_line_is_that_of_the_file_by_which_the_operator_was_called():
    names = execute(FILE, "net.py", "net.py")
    kept, _, value = watch(names["Net"](), torch.rand(3, 4), loss=lambda y: y)
    assert {each.operator: each.line for each in kept} == {"linear": "net.py:10", "exp": "net.py:11"}
    del value


def test_what_a_backward_inside_of_the_forward_has_released_is_not_kept():
    model = nn.Linear(4, 1)

    def loss(y):
        (gradient,) = torch.autograd.grad(y.exp().sum(), model.weight)
        return model(torch.rand(2, 4)).sum() + gradient.sum()

    x = torch.rand(6, 4)
    kept, _, value = watch(model, x, loss)
    assert x.numel() * FLOAT not in {each.bytes for each in kept}
    assert {each.bytes for each in kept} == {2 * 4 * FLOAT}
    del value


def test_views_of_a_storage_count_once():
    base = torch.rand(10, 4)
    assert storage_bytes(iter([base[:2], base[5:], base])) == 10 * 4 * FLOAT


def test_the_rows_of_modules_add_up_and_the_largest_is_first():
    model, x = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), torch.rand(5, 8)
    kept, _, value = watch(model, x)
    anatomy = Anatomy(True, kept, 0, 0, 0)
    modules = by_module(anatomy)
    assert sum(each.activations + each.others for each in modules) == anatomy.saved
    assert modules[0].name == "1"
    assert {each.name for each in modules} == {"0", "1", "2", OUTSIDE}
    del value


def test_what_modules_keep_in_another_thread_is_seen_as_in_the_callers():
    """A pool whose thread was there before: 65,536 of x, 262,144 of the hidden layer, 65,536 of a weight."""
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))
    x = torch.rand(256, 64)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(model, x).result()
        watched = Watched(model, x, "net.py")
        with watched.watching():
            y = pool.submit(model, x).result()
        there = watched.kept()
    here, _, z = watch(model, x, loss=lambda y: y)
    assert sum(each.bytes for each in there) == 393_216
    assert [(each.module, each.bytes, each.role) for each in there] == [
        (each.module, each.bytes, each.role) for each in here
    ]
    del y, z


def test_a_sparse_buffer_and_sparse_gradients_are_counted_by_their_parts():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("adjacency", torch.eye(5).to_sparse())
            self.inner = nn.Linear(3, 2)

        def forward(self, x):
            return torch.sparse.mm(self.adjacency, self.inner(x))

    model, x = Graph(), torch.rand(5, 3)
    kept, _, value = watch(model, x)
    # Of five elements: two indices of 8 bytes, and a value.
    buffers = [each.bytes for each in kept if each.role == "buffer"]
    assert sorted(buffers) == [5 * FLOAT, 2 * 5 * 8]
    assert storage_bytes(model.buffers()) == 5 * FLOAT + 2 * 5 * 8
    del value
    embedding = nn.Embedding(10, 4, sparse=True)
    embedding(torch.tensor([1, 2, 7])).sum().backward()
    gradient = embedding.weight.grad
    assert gradient.is_sparse
    parts = gradient._values().untyped_storage().nbytes()
    assert storage_bytes(iter([gradient])) == 3 * 8 + parts
