"""What a variant executes, observed; and bytes counted once of it, held against bytes counted of each."""

import functools
import io
import math
import textwrap
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch

from gradbench.define.methods import METHODS
from gradbench.define.user_model import plan_file
from gradbench.define.workloads.user_model import NAME
from gradbench.measure import counting, execution, variant
from gradbench.measure.collector import freeze_imported
from gradbench.measure.execution import observe
from gradbench.measure.memory import Unrepeatable, measure_call
from gradbench.measure.protocol import Message, Task, WorkerSettings
from gradbench.measure.user_file import inspect_user_file
from gradbench.measure.worker import Worker
from gradbench.record.plan import PRICE, Request
from gradbench.record.visits import Execution, Failure, Memory, Timeline

# Nothing is read from there.
FILE = str(Path(__file__).with_name("net.py"))
EXACT = ("allocated", "allocations", "peak", "retained", "graph", "saved", "standing", "left", "cycles")

NETS = {
    "hooks": """
        import torch
        from torch import nn
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))
        kept = []
        def keep(module, inputs, output):
            if module.training:
                kept.append(output.detach())
        for layer in model:
            layer.register_forward_hook(keep)
        x = torch.rand(4, 64)
        def loss(y): return y.square().mean()
    """,
    "batches": """
        import torch
        from torch import nn
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(),
                              nn.Linear(144, 5))
        x = torch.rand(2, 3, 8, 8)
        def loss(y): return y.square().mean()
    """,
    "attention": """
        import torch
        from torch import nn
        model = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        x = torch.rand(2, 5, 16)
        def loss(y): return y.square().mean()
    """,
    # What a call keeps is released by the next: counted without the one before, it would seem to be leaked.
    "keeps": """
        import torch
        from torch import nn
        class Net(nn.Linear):
            def forward(self, x):
                self.last = super().forward(x)
                return self.last * 2.0
        model = Net(300, 200)
        x = torch.rand(4, 300)
        def loss(y): return y.square().mean()
    """,
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def inspected(text):
    return inspect_user_file(text, FILE, 0, 1)


def counted(monkeypatch, text, observed=-1.0, once=-1.0, long=math.inf, check="answers"):
    """By (part, variant) the executions, bytes and timelines of a file, with these limits in seconds."""
    for name, limit in (("OBSERVED_FROM", observed), ("COUNTED_ONCE_FROM", once), ("LONG", long)):
        monkeypatch.setattr(counting, name, limit)
    text = textwrap.dedent(text)
    seen = inspected(text)
    plan = plan_file("net.py", text, seen, Request((NAME,), (), (), "cpu", seen.result, 0, "quick"))
    output = io.BytesIO()
    worker = Worker(WorkerSettings(0, "memory", 1, 1, file=FILE), output, io.BytesIO())
    own = [each for each in plan.comparisons if each.workload != PRICE]
    # As a worker does.
    freeze_imported()
    for each in own:
        worker.visit(Task(each, 0.0, check=check))
    said = [msgspec.json.decode(line, type=Message) for line in output.getvalue().splitlines()]
    assert not [each for each in said if isinstance(each, Failure)]
    part = {each.id: each.part for each in own}
    return SimpleNamespace(
        plan=own,
        **{
            kind.__name__: {
                (part[each.comparison], each.variant): each for each in said if type(each) is kind
            }
            for kind in (Execution, Memory, Timeline)
        },
    )


def figures(found):
    return {key: tuple(getattr(each, name) for name in EXACT) for key, each in found.Memory.items()}


@pytest.mark.parametrize("net", NETS)
def test_bytes_counted_once_are_those_counted_of_every_variant(monkeypatch, net):
    each = counted(monkeypatch, NETS[net], math.inf, math.inf)
    assert each.Execution == {}
    assert {record.same_as for record in each.Memory.values()} == {""}
    for long, executions in ((math.inf, 2), (-1.0, 1)):
        once = counted(monkeypatch, NETS[net], long=long)
        assert figures(once) == figures(each)
        assert {record.executions for record in once.Memory.values()} == {executions}
        # Of each variant whose bytes were counted, they were followed through the step as well.
        assert once.Timeline.keys() == {key for key in each.Timeline if not once.Memory[key].same_as}
        assert all(each.Timeline[key].stretches == found.stretches for key, found in once.Timeline.items())


@pytest.mark.parametrize("long", [math.inf, -1.0], ids=["long", "very long"])
def test_what_differs_by_the_control_alone_is_one_execution(monkeypatch, long):
    found = counted(monkeypatch, NETS["batches"], long=long)
    changes = ("freeze", "checkpoint", "batch", "no_grad_to")

    def alike(records):
        """What is the same as what; without the changes of a step, which may be alike whatever the model."""
        return {
            (part, name): each.same_as
            for (part, name), each in records.items()
            if each.same_as and not (part == "step" and name.startswith(changes))
        }

    same = alike(found.Execution)
    entered = ("no_grad", "no_grad_decorator", "no_grad_prebuilt", "set_grad_enabled_false")
    assert same == {
        **{("evaluation", name): "requires_grad_false" for name in (*entered, "twin", "twin_own_buffer")},
        **{
            (part, name): first
            for part, first in (("step", "set_to_none"), ("forward", "tracked"), ("backward", "backward"))
            for name in ("twin", "twin_own_buffer")
        },
    }
    # Each variant is told, and who is copied has the bytes of whom it executes the same as.
    assert found.Execution.keys() == found.Memory.keys()
    assert alike(found.Memory) == same
    assert all(each.seconds > 0 for each in found.Execution.values())


def test_of_very_long_calls_what_is_entered_otherwise_is_not_executed(monkeypatch):
    watched = []

    def noted(ready):
        watched.append(ready.variant.name)
        return observe(ready)

    def once(ready, *arguments):
        watched.append(ready.variant.name)
        return counting_once(ready, *arguments)

    counting_once = counting.measure_once
    monkeypatch.setattr(counting, "measure_once", once)
    monkeypatch.setattr("gradbench.measure.memory.observe", noted)
    found = counted(monkeypatch, NETS["batches"], long=-1.0)
    declared = {name for part, name in found.Execution if found.Execution[part, name].declared}
    by_table = {each.name for each in METHODS if each.entered_as}
    assert declared == by_table | {"twin", "twin_own_buffer"}
    assert by_table == {"no_grad_decorator", "no_grad_prebuilt", "set_grad_enabled_false"}
    assert not declared & set(watched)
    (evaluation,) = (each for each in found.plan if each.part == "evaluation")
    own = [each.name for each in evaluation.variants if each.role != "empty"]
    assert [each for each in watched if each in own][: len(own) - len(declared)] == [
        evaluation.baseline.name,
        *(name for name in own if name not in declared | {evaluation.baseline.name}),
    ]


def test_what_a_method_is_entered_as_is_a_method_before_it():
    names = [each.name for each in METHODS]
    for place, each in enumerate(METHODS):
        assert not each.entered_as or names.index(each.entered_as) < place


def test_without_a_check_the_baseline_is_executed_once_more_for_its_seconds(monkeypatch):
    built = Worker._build

    def unchecked(self, comparison, check):
        made = built(self, comparison, check)
        for ready in made:
            ready.took = 0.0
        return made

    monkeypatch.setattr(Worker, "_build", unchecked)
    found = counted(monkeypatch, NETS["batches"], observed=0.0, once=0.0, long=0.0)
    assert all(each.seconds > 0 for each in found.Execution.values())
    assert found.Execution["evaluation", "no_grad_prebuilt"].declared


def test_short_calls_are_not_watched(monkeypatch):
    monkeypatch.setattr(counting, "observe", lambda *_: pytest.fail("watched"))
    found = counted(monkeypatch, NETS["batches"], observed=math.inf, once=math.inf)
    assert found.Execution == {}


def test_of_calls_that_are_not_that_long_bytes_are_counted_of_each(monkeypatch):
    found = counted(monkeypatch, NETS["batches"], once=math.inf)
    assert found.Execution["evaluation", "no_grad"].same_as == "requires_grad_false"
    assert {each.same_as for each in found.Memory.values()} == {""}


class Made:
    """A statement in the place of a variant."""

    x = None

    def __init__(self, statement, setup=dict):
        self._statement, self._setup = statement, setup

    def set_up_call(self):
        return self._setup()

    def run_and_keep(self, per_call):
        return [self._statement(**per_call)]


def signature(statement, setup=dict):
    return observe(Made(statement, setup)).signature


W = torch.rand(6, 6, requires_grad=True)
X = torch.rand(6, 6)


def under(guard):
    def statement():
        with guard():
            return (X @ W).exp()

    return statement


def recorded():
    return (X @ W).exp()


def test_a_signature_tells_apart_what_is_executed_kept_and_held():
    apart = [
        recorded,
        lambda: (X @ W).exp().detach(),
        lambda: (X @ W).exp().clone(),
        lambda: (X @ W.detach()).exp(),
        lambda: (X[:3] @ W).exp(),
        lambda: (X.double() @ W.double()).exp(),
        lambda: (X @ W.t()).exp(),
        lambda: (X @ W).exp() * 2.0,
        lambda: (X @ W).exp() * 3.0,
        lambda: (X @ W).exp_(),
        under(torch.inference_mode),
    ]
    assert len({signature(each) for each in apart}) == len(apart)
    assert signature(recorded) == signature(lambda: (X @ W).exp()) is not None
    # The operator is the same one; only the result tells.
    assert observe(Made(X.exp)).operators == 1
    with torch.inference_mode():
        inside = observe(Made(X.exp))
    assert inside.operators == 1
    assert inside.signature != signature(X.exp)
    free = W.detach()
    assert signature(under(torch.no_grad)) == signature(lambda: (X @ free).exp())


def test_a_graph_that_is_kept_is_told_from_one_that_is_released():
    def setup():
        W.grad = None
        return {"loss": recorded().sum()}

    def backward(retain):
        def statement(loss):
            loss.backward(retain_graph=retain)
            return loss

        return statement

    released, kept = signature(backward(False), setup), signature(backward(True), setup)
    assert released != kept
    assert released == signature(backward(False), setup)


def test_what_is_made_for_a_call_is_not_watched():
    found = observe(Made(lambda y: y * 2.0, lambda: {"y": torch.ones(3).exp().log()}))
    assert found.operators == 1
    # What is saved and restored by us, for a backward, is not the statement's.
    seen = observe(Made(lambda: recorded().sum().backward()))
    kinds = {name for name, *_ in seen.signature[0]}
    assert not kinds & {"aten.set_.source_Storage_storage_offset", "aten.empty.memory_format"}


def test_the_bytes_that_are_saved_are_counted_while_watching():
    assert observe(Made(recorded)).saved == 3 * 36 * 4 - 36 * 4
    assert observe(Made(under(torch.no_grad))).saved == 0


def test_what_no_mode_can_see_is_an_execution_of_its_own():
    def refuses():
        from torch.utils._python_dispatch import _get_current_dispatch_mode

        if _get_current_dispatch_mode() is not None:
            raise RuntimeError("not under a mode")
        return X.exp()

    for statement in (refuses, lambda: sum(range(1000))):
        found = observe(Made(statement))
        assert (found.signature, found.operators) == (None, None)


def test_what_fails_by_itself_is_told():
    with pytest.raises(ZeroDivisionError):
        observe(Made(lambda: 1 / 0))


def test_what_runs_under_modes_of_its_own_is_watched():
    from torch.utils.flop_counter import FlopCounterMode

    def counted():
        with FlopCounterMode(display=False):
            return X @ X

    assert observe(Made(counted)).operators
    assert observe(Made(lambda: torch.vmap(torch.sin)(X))).operators


def test_what_works_under_no_hook_is_an_execution_of_its_own():
    found = observe(Made(lambda: torch.func.grad(lambda x: x.sin().sum())(X)))
    assert (found.signature, found.operators, found.saved) == (None, None, None)


def test_what_is_compiled_is_an_execution_of_its_own():
    compiled = torch.compile(torch.sin, backend="eager")
    assert observe(Made(lambda: torch.sin(X))).operators == 1
    compiled(X)
    assert observe(Made(lambda: compiled(X))).signature is None


def test_bytes_that_do_not_repeat_are_told_of_a_long_call(monkeypatch):
    ready = SimpleNamespace(
        calls=0, x=None, variant=SimpleNamespace(name="a"), set_up_call=dict, result_of=lambda names: []
    )

    def run(*_):
        ready.calls += 1
        torch.ones(ready.calls)
        return []

    def by_line(within, names):
        with within(0):
            run()
        return ["run()"], names

    ready.run_and_keep, ready.run_by_line = run, by_line
    with pytest.raises(Unrepeatable, match="expected the same"):
        counting.measure_long(ready, "c", lambda _: False, repeats=True, by_line=False)
    memory, timeline = counting.measure_long(ready, "c", lambda _: False, repeats=False, by_line=True)
    assert (memory.executions, memory.allocated, timeline.stretches[0].live[0]) == (1, 20, 20)


def test_a_very_long_call_is_executed_once_for_its_bytes(monkeypatch):
    """Twice where the first execution leaves something: zeros, which the next adds to."""
    executed = []
    run = variant.ReadyVariant.run_by_line

    def by_line(ready, within, made=None):
        executed.append(ready.variant.name)
        return run(ready, within, made)

    monkeypatch.setattr(variant.ReadyVariant, "run_by_line", by_line)
    found = counted(monkeypatch, NETS["batches"], long=-1.0, check="baseline")
    of_step = {name for part, name in found.Memory if part == "step"} - {"twin", "twin_own_buffer"}
    times = {name: executed.count(name) for name in of_step}
    assert times.pop("set_to_zero") == 2
    assert {times[name] for name in times if name.startswith(("set_to_none", "freeze", "batch"))} == {1}
    assert {each.executions for each in found.Memory.values() if not each.same_as} == {1}


@pytest.mark.parametrize(
    "work",
    [
        lambda z: z.conj() * (z * z),
        lambda z: z.conj().imag * z.real,
        lambda z: z.conj().conj() * z,
        lambda z: torch.view_as_real(z.conj().resolve_conj()).square() * z.real.unsqueeze(-1),
    ],
)
def test_what_is_saved_of_a_conjugate_comes_back_as_it_was(work):
    values = torch.tensor([1 + 2j, 3 - 1j, -0.5j], dtype=torch.complex128)

    def gradient():
        z = values.clone().requires_grad_()
        work(z).abs().square().sum().backward()
        return z.grad

    plain = gradient()
    with execution.saving():
        watched = gradient()
    assert torch.equal(plain, watched)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_a_sparse_tensor_that_is_saved_counts_by_its_parts_and_comes_back(layout):
    dense = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    adjacency = dense.to_sparse(layout=layout)
    x = torch.rand(3, 2, requires_grad=True)
    with execution.saving() as held:
        y = torch.sparse.mm(adjacency, x)
        # Indices are of 8 bytes: rows and columns of three elements, or four ends and three columns.
        indices = 2 * 3 * 8 if layout == torch.sparse_coo else (4 + 3) * 8
        assert held.bytes() >= indices + 3 * 4
        y.sum().backward()
    assert torch.equal(x.grad, dense.t() @ torch.ones(3, 2))


def test_the_memory_of_a_call_that_saves_something_sparse_is_measured():
    adjacency = torch.eye(64).to_sparse()
    x = torch.rand(64, 4, requires_grad=True)
    counted, saved = measure_call(lambda: torch.sparse.mm(adjacency, x))
    assert counted.retained >= 64 * 4 * 4
    assert saved == 2 * 64 * 8 + 64 * 4
    # Of a sparse result its indices and values, as far as allocators round up.
    sparse, _ = measure_call(lambda: (x.detach() + 1).to_sparse())
    assert sparse.retained >= 2 * 256 * 8 + 256 * 4
