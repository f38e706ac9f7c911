"""What each call leaves behind: its bytes by arithmetic, the name that holds them, the line that fills it."""

import gc

import pytest

from gradbench.measure.growth import growth, running_graph
from gradbench.measure.variant import execute


@pytest.fixture(autouse=True)
def only_new_objects():
    """What another test has left is not looked through."""
    gc.collect()
    gc.freeze()


HOOK = """\
import torch
model = torch.nn.Linear(8, 4)
kept = []
model.register_forward_hook(lambda module, inputs, y: kept.append(y.detach()))
x = torch.rand(5, 8)
"""
ATTRIBUTE = """\
import torch


class Net(torch.nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        self.__dict__.setdefault("seen", []).append(y.detach())
        return y


model = Net(8, 4)
x = torch.rand(5, 8)
"""
CACHE = """\
import torch


class Net(torch.nn.Linear):
    cache = None

    def forward(self, x):
        if self.cache is None:
            self.cache = x * 2
        return super().forward(x)


model = Net(8, 4)
x = torch.rand(5, 8)
"""
ITSELF = """\
import torch


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.y = x * x
        return ctx.y

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Net(torch.nn.Linear):
    def forward(self, x):
        return Square.apply(super().forward(x))


model = Net(8, 4)
x = torch.rand(5, 8)
"""


def grown(text):
    names = execute(text, "net.py", "net.py")

    def call():
        return names["model"](names["x"])

    call()
    return growth(call, "evaluation", names, "net.py", text)


@pytest.mark.parametrize(("text", "holder", "line"), [(HOOK, "`kept`", 4), (ATTRIBUTE, "`Net.seen`", 7)])
def test_a_list_that_grows_is_named_with_its_line_and_its_bytes(text, holder, line):
    fault = grown(text)
    assert (fault.bytes, fault.line) == (5 * 4 * 4, f"net.py:{line}")
    # Two were counted: no more is known, such as that nothing ever frees it.
    assert f"each of 2 evaluations in a row leaves 80 B: {holder} holds it" in fault.sentence
    assert "detach" not in fault.sentence


def test_what_is_kept_with_its_graph_is_told_with_what_to_keep_instead():
    fault = grown(HOOK.replace("y.detach()", "y"))
    # The graph holds x, which is there anyway.
    assert fault.bytes == 5 * 4 * 4
    assert "keep value.item() or value.detach()" in fault.sentence
    # A linear layer makes two nodes: addmm, and the transpose of its weight. Those of its leaves stay anyway.
    assert (
        "leaves 80 B and a graph of 2 nodes, which gradbench does not count as bytes: `kept` holds them; "
        in fault.sentence
    )


BANK = """\
import torch


class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(8, 4)
        self.bank = torch.empty(0, 4)

    def forward(self, x):
        y = super().forward(x)
        self.bank = torch.cat([self.bank, y.detach()])
        return y


model = Net()
x = torch.rand(5, 8)
"""
BUFFER = BANK.replace("self.bank = torch.empty(0, 4)", 'self.register_buffer("bank", torch.empty(0, 4))')


@pytest.mark.parametrize("text", [BANK, BUFFER])
def test_a_bank_that_each_call_copies_with_more_is_named(text):
    fault = grown(text)
    assert (fault.bytes, fault.line) == (5 * 4 * 4, "net.py:11")
    assert (
        fault.sentence == "each of 3 evaluations in a row leaves 80 B: `Net.bank` holds it; "
        "clear entries that no code reads again"
    )


def test_a_bank_that_doubles_says_what_the_last_call_left():
    fault = grown(BANK.replace("[self.bank, y.detach()]", "[self.bank, self.bank, y.detach()]"))
    assert "each of 3 evaluations in a row leaves some bytes, the last " in fault.sentence


def test_calls_that_differ_and_leave_nothing_do_not_grow():
    varied = "sizes.append(len(sizes)); wide = torch.empty(64 * len(sizes)); del wide"
    text = BANK.replace("self.bank = torch.cat([self.bank, y.detach()])", varied)
    assert grown(text.replace("import torch\n", "import torch\nsizes = []\n", 1)) is None


BOUNDED = HOOK.replace("import torch\n", "import torch\nfrom collections import deque\n")


@pytest.mark.parametrize(("most", "told"), [(20, False), (100_000, True)])
def test_a_deque_that_holds_a_few_is_meant_to(most, told):
    fault = grown(BOUNDED.replace("kept = []", f"kept = deque(maxlen={most})"))
    assert (fault is not None) is told
    if told:
        assert "`kept` holds it, 100,000 at most" in fault.sentence


def test_a_cache_that_the_first_call_fills_does_not_grow():
    assert grown(CACHE) is None


def test_a_graph_that_holds_its_own_result_is_found():
    fault = grown(ITSELF)
    assert fault is not None
    assert fault.bytes >= 5 * 4 * 4
    assert "ctx" in fault.sentence


RUNNING = """\
import torch
model = torch.nn.Linear(8, 4)
x = torch.rand(5, 8)
total = 0.0


def loss(y):
    global total
    value = y.square().mean()
    total = total + value
    return value
"""


@pytest.mark.parametrize(
    ("text", "line"), [(RUNNING, "net.py:10"), (RUNNING.replace("+ value", "+ value.detach()"), None)]
)
def test_a_running_loss_that_keeps_its_graph_is_told_and_one_that_does_not_is_not(text, line):
    # As the functions of the file see them.
    names = execute(text, "net.py", "net.py")["loss"].__globals__

    def step():
        names["loss"](names["model"](names["x"])).backward()

    step()
    fault = running_graph(step, "training step", names, "net.py", text)
    assert (fault.line if fault else None) == line
    if fault:
        assert "`total` keeps the graph of each training step" in fault.sentence


HOOK_AND_RUNNING = """\
import torch
model = torch.nn.Linear(8, 4)
history = []
running = 0.0
model.register_forward_hook(lambda module, inputs, y: history.append(y.detach()))
x = torch.rand(5, 8)


def call(model, x):
    global running
    y = model(x)
    running = y.detach().sum() + running
    return y
"""


def test_the_name_of_what_grows_is_told_and_not_that_of_what_each_call_replaces():
    names = execute(HOOK_AND_RUNNING, "net.py", "net.py")["call"].__globals__

    def call():
        return names["call"](names["model"], names["x"])

    call()
    fault = growth(call, "evaluation", names, "net.py", HOOK_AND_RUNNING)
    assert "`history` holds it" in fault.sentence
    assert fault.line == "net.py:5"
