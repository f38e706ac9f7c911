"""A file of the user's, looked at: what a plan needs to know of it, and every mistake in one line."""

import functools
import os
import runpy
import textwrap

import pytest
import torch

from gradbench.measure import evaluated, leave_out, user_code, user_file
from gradbench.measure.examine import Examined
from gradbench.measure.protocol import FileRejected
from gradbench.measure.user_file import inspect_user_file
from gradbench.record.user_file import FileFacts

NET = "import torch\nfrom torch import nn\nmodel = nn.Linear(3, 2)\nx = torch.rand(4, 3)\n"


@pytest.fixture(autouse=True)
def restored():
    """What a file may change of torch is as it was, for the tests that follow."""
    yield
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def see(tmp_path):
    def seen(text, seed=0, threads=None):
        file = str(tmp_path / "net.py")
        return inspect_user_file(textwrap.dedent(text), file, seed, threads or torch.get_num_threads())

    return seen


def test_the_shape_the_types_and_the_parameters_are_seen(see):
    seen = see(NET)
    assert isinstance(seen, FileFacts)
    assert (seen.shape, seen.dtype, seen.device, seen.result) == ((4, 3), "float32", "cpu", "float32")
    assert (seen.parameters, seen.trained) == (8, 8)
    assert (seen.calls, seen.trains) == (False, False)
    assert seen.forward > 0
    assert seen.step == 0.0


def test_numbers_of_tokens_go_in_and_other_types_come_out(see):
    seen = see("""
        import torch
        from torch import nn
        model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)).double()
        x = torch.tensor([[1, 2, 8]])
        def loss(y):
            return y.sum()
    """)
    assert (seen.dtype, seen.result, seen.coarsest, seen.trains) == ("int64", "float64", "float64", True)


def test_the_coarsest_type_is_that_of_any_parameter(see):
    seen = see("""
        import torch
        model = torch.nn.Linear(3, 2, dtype=torch.bfloat16)
        x = torch.rand(4, 3)
        def call(model, x):
            return model(x.bfloat16()).double()
    """)
    assert (seen.result, seen.coarsest) == ("float64", "bfloat16")


def test_several_inputs_go_through_call(see):
    seen = see("""
        import torch
        model = torch.nn.Bilinear(3, 2, 5)
        x, other = torch.rand(4, 3), torch.rand(4, 2)
        def call(model, x):
            return model(x, other)
    """)
    assert isinstance(seen, FileFacts)
    assert seen.calls


def test_a_tied_parameter_counts_once_and_a_frozen_one_is_told(see):
    seen = see(NET + "model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))\n"
               "model[1].weight = model[0].weight\nmodel[1].bias.requires_grad_(False)\n")  # fmt: skip
    assert (seen.parameters, seen.trained) == (15, 12)


@pytest.mark.parametrize(("training", "repeats"), [(True, False), (False, True)])
def test_a_loss_that_differs_from_call_to_call_is_told(see, training, repeats):
    seen = see(NET + "model = nn.Sequential(nn.Linear(3, 64), nn.Dropout())\n"
               f"model.train({training})\ndef loss(y): return y.square().mean()\n")  # fmt: skip
    assert seen.repeats is repeats


def test_the_same_seed_draws_the_same_numbers(see, capsys):
    for seed in (1, 1, 2):
        see(NET + "print(x.sum().item())\n", seed)
    first, second, third = capsys.readouterr().out.split()
    assert first == second != third


def test_future_imports_dataclasses_and_the_file_itself_work(see, tmp_path):
    (tmp_path / "width.txt").write_text("3")
    seen = see('''
        """A model."""
        from __future__ import annotations
        from dataclasses import dataclass
        from pathlib import Path
        import torch

        @dataclass
        class Config:
            width: int = int((Path(__file__).parent / "width.txt").read_text())

        model = torch.nn.Linear(Config().width, 2)
        x = torch.rand(1, 3)
        if __name__ == "__main__":
            raise SystemExit("only as a program")
    ''')
    assert isinstance(seen, FileFacts)


def test_what_the_file_defines_is_not_what_this_module_imports_from_the_future(see):
    """Annotations are strings in a module that says so, and only there."""
    seen = see(NET + "def f(a: int): pass\nassert f.__annotations__['a'] is int\n")
    assert isinstance(seen, FileFacts)


MISTAKES = {
    "no model": ("x = 1", ["defines no `model`", "torch.nn.Module", "`x`"]),
    "a class": (NET + "model = nn.Linear", ["`model` is the class Linear", "expected an object"]),
    "no module": (NET + "model = {}", ["`model` is a dict", "torch.nn.Module"]),
    "no x": (NET + "del x", ["defines no `x`", "tensor"]),
    "several x": (NET + "x = (x, x)", ["`x` is a tuple", "define call(model, x)"]),
    "x is a number": (NET + "x = 3.0", ["`x` is a float"]),
    "another device": (NET + 'x = x.to("meta")', ["`x` is on meta", "expected it on cpu or cuda"]),
    "sparse": (NET + "x = x.to_sparse()", ["sparse", "call(model, x)"]),
    "empty": (NET + "x = x[:0]", ["no elements", "(0, 3)"]),
    "nan": (NET + "x[0, 0] = float('nan')", ["`x` holds NaN"]),
    "inference tensor": (NET + "with torch.inference_mode(): x = x * 1", ["inference mode"]),
    "raises": (NET + "y = 1 / 0", ["line 5 raises ZeroDivisionError: division by zero"]),
    "no such module": ("import not_there_at_all", ["line 1 raises ModuleNotFoundError", "not_there_at_all"]),
    "exits": (NET + "raise SystemExit(3)", ["line 5 raises SystemExit: 3"]),
    "forward raises": (NET + "x = torch.rand(4, 5)", ["model(x) raises RuntimeError: mat1 and mat2"]),
    "call raises": (NET + "def call(m, x):\n    return m(y)", ["call(model, x) (line 6) raises NameError"]),
    "call with one argument": (NET + "def call(x): return x", ["call(model, x) raises TypeError"]),
    "call is no function": (NET + "call = 1", ["`call` is an int", "expected a function"]),
    "a tuple": (
        NET + "model = nn.LSTM(3, 2)",
        ["model(x) returns a tuple: expected a tensor", "call(model, x), such as: return model(x)[0]"],
    ),
    "an object with logits": (
        NET + "import types\nclass Net(nn.Linear):\n    def forward(self, x):\n"
        "        return types.SimpleNamespace(logits=super().forward(x))\nmodel = Net(3, 2)",
        ["returns a SimpleNamespace", "return model(x).logits"],
    ),
    "call returns none": (NET + "def call(model, x): model(x)", ["call(model, x) returns None"]),
    "detached": (NET + "def call(model, x): return model(x).detach()", ["does not require gradients"]),
    "whole numbers": (NET + "def call(model, x): return model(x).argmax()", ["returns int64", "float32"]),
    "complex": (NET + "def call(model, x): return model(x) * 1j", ["returns complex64", "float32"]),
    "nan result": (NET + "def call(model, x): return model(x) * float('nan')", ["holds NaN"]),
    "random": (
        NET + "def call(model, x): return nn.functional.dropout(model(x), 0.5)",
        ["another result at each call", "training=self.training"],
    ),
    "writes": (NET + "def call(model, x): return model(x.add_(1))", ["writes to x", "x.clone()"]),
    "writes what was there": (NET + "def call(model, x): return model(x.mul_(1))", ["writes to x"]),
    "frozen": (
        NET + "model.requires_grad_(False)",
        ["no parameter", "model.requires_grad_(True)", "set x.requires_grad_() in the file"],
    ),
    "no parameters": (
        NET + "model = nn.ReLU()",
        ["the model has no parameters, nor does x", "set x.requires_grad_() in the file"],
    ),
    "nothing to differentiate by": (
        NET + "model, x = nn.ReLU(), torch.arange(3)",
        ["the model has no parameters, and x is int64"],
    ),
    "reentrant": (
        NET + "from torch.utils.checkpoint import checkpoint\n"
        "def call(model, x): return checkpoint(model, x, use_reentrant=True)",
        ["does not require gradients", "use_reentrant=False"],
    ),
    "x is detached": (
        NET + "model.requires_grad_(False); x.requires_grad_()\ndef call(model, x): return model(x.detach())",
        ["does not require gradients, though x does"],
    ),
    "loss misses x": (
        NET + "model.requires_grad_(False); x.requires_grad_()\nw = torch.ones(1, requires_grad=True)\n"
        "def loss(y): return w.sum()",
        ["reaches no x"],
    ),
    "lazy": (NET + "model = nn.LazyLinear(2)", ["call it once in the file"]),
    "another model": (
        NET + "other = model\ndef call(model, x): return other(x)",
        ["requires gradients after model.requires_grad_(False)", "`model` that is passed"],
    ),
    "gradients off": (NET + "torch.set_grad_enabled(False)", ["switches gradients off"]),
    "loss is no function": (NET + "loss = nn.functional", ["`loss` is a module", "expected a function"]),
    "loss raises": (NET + "def loss(y):\n    return y.nope", ["loss(y) (line 6) raises AttributeError"]),
    "loss is no scalar": (NET + "def loss(y): return y", ["loss(y) returns shape (4, 2)", ".mean()"]),
    "loss is a number": (NET + "def loss(y): return y.sum().item()", ["loss(y) returns a float"]),
    "loss detached": (NET + "def loss(y): return y.sum().detach()", ["loss(y) does not require gradients"]),
    "loss is not finite": (NET + "def loss(y): return y.sum() / 0", ["expected a finite loss"]),
    "loss of another": (
        NET + "w = torch.ones(1, requires_grad=True)\ndef loss(y): return w.sum()",
        ["reaches no parameter"],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_line(see, name, long, monkeypatch):
    if long:
        monkeypatch.setattr(leave_out, "LONG", -1.0)
    text, says = MISTAKES[name]
    refused = see(text)
    assert isinstance(refused, FileRejected)
    assert "\n" not in refused.message
    for part in says:
        assert part in refused.message


COUNTING = (
    NET
    + """
calls = {"forward": 0, "backward": 0}
def call(model, x):
    calls["forward"] += 1
    return model(x)
class Count(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y): return y.clone()
    @staticmethod
    def backward(ctx, given):
        calls["backward"] += 1
        print("calls", *calls.values())
        return given
def loss(y): return Count.apply(y).square().mean()
"""
)


@pytest.mark.parametrize(("long", "forwards", "backwards"), [(1e9, 7, 2), (-1.0, 3, 1)])
def test_a_long_model_is_called_twice_and_trained_once(see, monkeypatch, capsys, long, forwards, backwards):
    """A short one also frozen, under no_grad() and in inference mode; a step's forward is one more call."""
    monkeypatch.setattr(leave_out, "LONG", long)
    # A longer look is another matter.
    monkeypatch.setattr(user_file, "examine", lambda code, asked: Examined())
    # Another test may have imported the compiler, beside which a first call is not watched.
    monkeypatch.setattr(evaluated, "can_watch", lambda called: True)
    seen = see(COUNTING)
    assert isinstance(seen, FileFacts)
    assert capsys.readouterr().out.split("calls")[-1].split() == [str(forwards), str(backwards)]
    assert seen.forward > 0
    assert seen.step > 0


def test_a_first_call_that_alone_is_long_makes_no_long_model(see, capsys, monkeypatch):
    monkeypatch.setattr(leave_out, "LONG", 0.1)
    monkeypatch.setattr(user_file, "examine", lambda code, asked: Examined())
    monkeypatch.setattr(evaluated, "can_watch", lambda called: True)
    seen = see(
        COUNTING.replace(
            '    calls["forward"] += 1\n', '    calls["forward"] += 1\n    wait(calls["forward"])\n'
        )
        + "import time\ndef wait(call): time.sleep(0.3 if call == 1 else 0)\n"
    )
    assert seen.forward < 0.1
    assert capsys.readouterr().out.split("calls")[-1].split() == ["7", "2"]


@pytest.mark.parametrize(
    ("draws", "repeats"),
    [
        ("y", True),
        ("y + torch.rand(1)", False),
        ("y + random.random()", False),
        ("y + numpy.random.rand()", False),
    ],
)
def test_whether_a_long_loss_repeats_is_told_by_what_it_draws(see, monkeypatch, draws, repeats):
    monkeypatch.setattr(leave_out, "LONG", -1.0)
    seen = see(NET + f"import random, numpy\ndef loss(y): return ({draws}).square().mean()\n")
    assert seen.repeats is repeats


def test_threads_that_the_file_sets_are_refused(see):
    threads = torch.get_num_threads()
    try:
        refused = see(NET + f"torch.set_num_threads({threads + 1})")
    finally:
        torch.set_num_threads(threads)
    assert f"--threads {threads + 1}" in refused.message


def test_a_message_names_no_folder(see, tmp_path):
    refused = see(NET + "open(__file__ + '.gone')")
    assert "FileNotFoundError" in refused.message
    assert str(tmp_path) not in refused.message


def test_an_x_that_requires_gradients_is_tracked_beside_parameters_and_alone(see):
    both = see(NET + "x.requires_grad_()\ndef loss(y): return y.square().mean()")
    alone = see(
        NET + "x.requires_grad_(); model.requires_grad_(False)\ndef loss(y): return y.square().mean()"
    )
    without = see(NET + "x.requires_grad_(); model = nn.Tanh()")
    assert [(each.tracks_model, each.tracks_x) for each in (both, alone, without)] == [
        (True, True),
        (False, True),
        (False, True),
    ]
    assert (alone.trained, without.parameters) == (0, 0)
    assert not any(each.faults or each.under or each.training for each in (both, alone, without))


FORCES = """
import torch
class Potential(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    def forward(self, positions):
        WITHIN:
            positions = positions.detach().requires_grad_()
            (g,) = torch.autograd.grad(self.net(positions).sum(), positions, create_graph=CREATE)
            return -g
model = Potential()
x = torch.rand(5, 3)
def loss(forces):
    return forces.square().mean()
"""
RECORDED = "if True"
ENABLED = "with torch.enable_grad()"
NORMAL = "with torch.inference_mode(False), torch.enable_grad()"


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize(
    ("within", "create", "raising", "recording"),
    [
        (RECORDED, "self.training", {"no_grad", "inference_mode"}, set()),
        (RECORDED, "True", {"no_grad", "inference_mode"}, {"requires_grad_false"}),
        (ENABLED, "True", {"inference_mode"}, {"requires_grad_false", "no_grad"}),
        # What the faults advise.
        (ENABLED, "self.training", {"inference_mode"}, set()),
        (NORMAL, "self.training", set(), set()),
    ],
)
def test_a_model_that_differentiates_inside_is_measured_where_it_works(
    see, monkeypatch, long, within, create, raising, recording
):
    if long:
        monkeypatch.setattr(leave_out, "LONG", -1.0)
    seen = see(FORCES.replace("WITHIN", within).replace("CREATE", create))
    assert isinstance(seen, FileFacts), seen.message
    assert {name for name, each in seen.under.items() if each.raises} == raising
    assert {name for name, each in seen.under.items() if each.requires_grad and not each.raises} == recording
    told = [each for each in seen.faults if each.kind == "does not work under"]
    assert [each.line for each in told] == ["net.py:10"] * len(raising)
    assert all("differentiates inside its forward" in each.sentence for each in told)
    assert ("no_grad" in raising) == any("wrap that in torch.enable_grad()" in each.sentence for each in told)
    assert seen.trains


def test_a_model_that_differentiates_by_its_parameters_cannot_be_frozen(see):
    seen = see(
        NET + "def call(model, x):\n    (g,) = torch.autograd.grad(model(x).square().sum(), model.weight, "
        "create_graph=True)\n    return x @ (model.weight - g).T\n"
    )
    assert isinstance(seen, FileFacts), seen.message
    assert seen.under["requires_grad_false"].raises
    assert "by what is frozen" in seen.faults[0].sentence


def test_torch_func_works_under_every_method(see):
    seen = see(
        NET + "def call(model, x):\n    return torch.func.grad(lambda p: model(p).square().sum())(x)\n"
    )
    assert isinstance(seen, FileFacts)
    assert seen.faults == ()
    assert not any(each.raises or each.requires_grad for each in seen.under.values())


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("long", [False, True])
def test_a_transformer_with_a_padding_mask_gives_other_values_unrecorded(see, monkeypatch, long):
    if long:
        monkeypatch.setattr(leave_out, "LONG", -1.0)
    seen = see("""
        import torch
        layer = torch.nn.TransformerEncoderLayer(8, 2, 8, dropout=0.1, batch_first=True)
        model = torch.nn.TransformerEncoder(layer, 1)
        x = torch.randn(2, 6, 8)
        padding = torch.tensor([[False] * 4 + [True] * 2, [False] * 6])
        def call(model, x):
            return model(x, src_key_padding_mask=padding)
    """)
    assert isinstance(seen, FileFacts), seen.message
    # What is padded is 0 there, and normalised here, to a norm of √8 for each of the 2 of 12 tokens.
    assert seen.differs.apart
    assert seen.differs.relative == pytest.approx((2 / 12) ** 0.5, rel=1e-3)
    assert "aten._transformer_encoder_layer_fwd" in seen.differs.unrecorded_only
    assert not set(seen.differs.recorded_only) & set(seen.differs.unrecorded_only)
    (fault,) = seen.faults
    assert fault.kind == "values differ"
    assert "aten._transformer_encoder_layer_fwd" in fault.sentence


PATHS = (
    NET + "def call(model, x):\n    y = model(x)\n    recorded = y.requires_grad\n    return RETURNED\n"
    "def loss(y): return y.square().mean()\n"
)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize(
    ("returned", "most", "says"),
    [
        ("y if recorded else y + 0.5", 0.5, "elements differ by up to 0.5"),
        ("y if recorded else y[:2]", None, "its shape is (2, 2) not recorded, and (4, 2) recorded"),
        ("y if recorded else y / 0 * 0", None, "NaN is in the one that is not recorded"),
        ("y if not recorded else y + float('nan')", None, "NaN is in the one that is recorded"),
    ],
)
def test_results_that_differ_between_paths_are_told_and_not_refused(
    see, monkeypatch, long, returned, most, says
):
    if long:
        monkeypatch.setattr(leave_out, "LONG", -1.0)
    text = PATHS.replace("RETURNED", returned)
    if "not recorded else" in returned:
        text = text.replace("def loss(y): return y.square()", "def loss(y): return y.nan_to_num()")
    seen = see(text)
    assert isinstance(seen, FileFacts), seen.message
    assert seen.differs.apart
    assert seen.differs.most == (None if most is None else pytest.approx(most, rel=1e-5))
    assert says in seen.faults[0].sentence
    if "nan" not in returned:
        assert seen.training_apart


def test_other_operators_with_the_same_values_are_noted_and_no_fault(see):
    seen = see(PATHS.replace("RETURNED", "y.exp().log() if recorded else y.clone()"))
    assert isinstance(seen, FileFacts)
    assert not seen.differs.apart
    assert {"aten.exp", "aten.log"} <= set(seen.differs.recorded_only)
    assert "aten.clone" in seen.differs.unrecorded_only
    assert seen.differs.operators == "not recorded, torch runs aten.clone in place of aten.exp, aten.log"
    assert seen.faults == ()
    assert see(NET).differs is None


def test_what_records_under_no_grad_is_told(see):
    seen = see(NET + "def call(model, x):\n    with torch.enable_grad():\n        return model(x)\n")
    assert isinstance(seen, FileFacts)
    assert seen.under["no_grad"].requires_grad
    assert "switches recording on inside" in seen.faults[0].sentence


@pytest.mark.filterwarnings("ignore:None of the inputs")
def test_a_reentrant_checkpoint_that_loses_gradients_is_told(see, capfd):
    seen = see(
        NET + "from torch.utils.checkpoint import checkpoint\nmodel = nn.Sequential(model, nn.Linear(2, 2))\n"
        "def call(model, x): return model[1](checkpoint(model[0], x, use_reentrant=True))"
    )
    assert isinstance(seen, FileFacts)
    assert (seen.faults[0].kind, "use_reentrant=False" in seen.faults[0].sentence) == (
        "gradients are lost",
        True,
    )
    # The warning is torch's to give, and is not kept from the author.
    assert "requires_grad=True" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize(
    "made", ["torch.jit.trace(model, x)", "torch.jit.script(model)", "nn.Sequential(torch.jit.script(model))"]
)
def test_torchscript_is_measured(see, made):
    seen = see(NET + f"model = {made}\ndef loss(y): return y.square().mean()")
    assert isinstance(seen, FileFacts), seen.message
    assert (seen.scripted, seen.trained, seen.faults) == (True, 8, ())


def test_parameters_that_no_gradient_reaches_are_told(see):
    seen = see("""
        import torch
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.unused, self.head = nn.Linear(4, 8), nn.Linear(3, 3), nn.Linear(8, 2)
            def forward(self, x):
                with torch.no_grad():
                    h = self.first(x)
                return self.head(h)
        model = Net()
        x = torch.rand(5, 4)
        def loss(y): return y.square().mean()
        optimizer = torch.optim.Adam(model.parameters())
    """)
    (told,) = [each.sentence for each in seen.faults if each.kind == "no gradient"]
    assert told.startswith(
        "52 of 70 trainable elements get no gradient in training (first.weight and 3 more)"
    )
    # An optimizer keeps nothing for them: two moments of 18 elements, and two counts of steps.
    assert seen.anatomy.optimizer.state == (2 * 18 + 2) * 4
    assert not any(each.kind == "no gradient" for each in see(NET + "def loss(y): return y.mean()\n").faults)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("3", "`optimizer` is an int: expected a torch.optim.Optimizer"),
        ("torch.optim.Adam", "is the class Adam"),
    ],
)
def test_an_optimizer_that_is_none_is_refused(see, written, says):
    refused = see(NET + f"optimizer = {written}\n")
    assert isinstance(refused, FileRejected)
    assert says in refused.message


def test_a_result_with_infinities_has_to_be_the_same_at_each_call(see):
    # Masked logits: what is infinite hides nothing beside it.
    masked = """
        import torch
        model = torch.nn.Linear(3, 4)
        x = torch.rand(4, 3)
        calls = []
        def call(model, x):
            calls.append(1)
            hidden = torch.tensor([True, False, False, False])
            return (model(x) * {factor}).masked_fill(hidden, float("-inf"))
    """
    seen = see(masked.replace("{factor}", "len(calls)"))
    assert isinstance(seen, FileRejected)
    assert "gives another result at each call" in seen.message
    assert isinstance(see(masked.replace("{factor}", "2")), FileFacts)


def test_what_the_loss_raises_is_told_of_the_loss(see):
    seen = see("""
        import torch
        model = torch.nn.Linear(3, 1)
        x = torch.rand(4, 3)
        def loss(y):
            (slope,) = torch.autograd.grad(y.sum(), model.weight, create_graph=True)
            return y.square().mean() + slope.square().mean()
        loss.__globals__["model"] = model
        def call(model, x):
            loss.__globals__["model"] = model
            return model(x)
    """)
    assert isinstance(seen, FileFacts)
    told = {each.sentence: each.line for each in seen.faults if each.kind == "does not work under"}
    assert len(told) == 2
    for sentence, line in told.items():
        assert line == "net.py:6"
        assert sentence.startswith("in training, under torch.")
        assert " loss(y) raises RuntimeError: " in sentence
        assert "it differentiates inside the loss; leave that out of the loss of a validation" in sentence
    assert seen.training["no_grad"].raises.startswith("in training, under it loss(y) raises")


@pytest.mark.parametrize(
    "model",
    [
        "torch.nn.Sequential(torch.nn.Embedding(10, 4, sparse=True), torch.nn.Linear(4, 2))",
        "Graph()",
    ],
)
def test_a_model_with_sparse_gradients_or_a_sparse_buffer_is_measured(see, model):
    x = "torch.rand(5, 3)" if "Graph" in model else "torch.arange(6)"
    seen = see(f"""
        import torch
        class Graph(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("adjacency", torch.eye(5).to_sparse())
                self.inner = torch.nn.Linear(3, 2)
            def forward(self, x):
                return torch.sparse.mm(self.adjacency, self.inner(x))
        model = {model}
        x = {x}
        def loss(y): return y.square().mean()
    """)
    assert isinstance(seen, FileFacts)
    assert seen.trains
    assert seen.anatomy is not None
    assert seen.anatomy.gradients > 0


def test_the_users_line_is_found_in_a_folder_whose_name_begins_as_torchs_or_gradbenchs(tmp_path, monkeypatch):
    between = (*user_code._BETWEEN, str(tmp_path / "torch") + os.sep, __file__)
    monkeypatch.setattr(user_code, "_BETWEEN", between)
    (tmp_path / "torch").mkdir()

    def called(*names):
        """What `calling_line` finds for the first of these files, where each calls the next."""
        find = lambda: user_code.calling_line(str(tmp_path / names[0]))  # noqa: E731
        for name in reversed(names):
            (tmp_path / name).write_text("def run(find):\n    return find()\n")
            run = runpy.run_path(str(tmp_path / name))["run"]
            find = functools.partial(run, find)
        return find()

    assert called("torch_demo.py") == "torch_demo.py:2"
    # The user's file itself may lie in the folder.
    assert called("torch/mine.py") == "mine.py:2"
    assert called("torch_demo.py", "torch/inner.py") == "torch_demo.py:2"
    assert called("torch_demo.py", "other.py") == ""
