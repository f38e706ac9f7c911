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


def a_comparison(*names, workload=NAME, timeline=True, alternatives=False):
    """A comparison as far as counting asks for it, and a variant in it for each name."""
    variants = []
    for name in names:
        role = name if name in ("empty", "baseline", "twin") else "method"
        expect = SimpleNamespace(result_requires_grad=name == "tracked", result_inference=name == "inference")
        variants.append(SimpleNamespace(name=name, role=role, counted=name != "uncounted", expect=expect))
    comparison = SimpleNamespace(
        id="c", workload=workload, variants=variants, timeline=timeline, alternatives=alternatives
    )
    return comparison, [SimpleNamespace(variant=each, took=0.0) for each in variants]


class Asked:
    """Stands for all that counts and observes: notes who was asked for, and gives records."""

    def __init__(self, monkeypatch, seconds, known=(), once=True):
        self.log, self._known, self._once = [], known, once
        monkeypatch.setattr(counting, "_took", lambda ready: seconds)
        for name in ("observe", "measure_memory", "follow", "measure_long", "measure_once"):
            monkeypatch.setattr(counting, name, getattr(self, name))
        monkeypatch.setattr(counting, "declared_as", lambda variant, _: dict(self._known).get(variant.name))

    def observed(self, ready):
        same = "same" if ready.variant.name in ("baseline", "alike") else ready.variant.name
        return SimpleNamespace(signature=same, seconds=0.5, operators=3, saved=0, resident=None)

    def memory(self, ready, peak):
        return Memory("c", ready.variant.name, 1, 1, peak, 1, 1, 1, None, "by hand")

    def observe(self, ready):
        self.log.append(("observe", ready.variant.name))
        return self.observed(ready)

    def measure_memory(self, ready, id, accelerator):
        self.log.append(("memory", ready.variant.name))
        return self.memory(ready, 10)

    def follow(self, ready, id, accelerator):
        self.log.append(("follow", ready.variant.name))
        return Timeline(id, ready.variant.name, ())

    def measure_long(self, ready, id, known, repeats, by_line):
        self.log.append(("long", ready.variant.name, repeats, by_line))
        if known(self.observed(ready)):
            return None
        return self.memory(ready, 20), Timeline(id, ready.variant.name, ()) if by_line else None

    def measure_once(self, ready, id, by_line):
        self.log.append(("once", ready.variant.name, by_line))
        if not self._once:
            raise RuntimeError("not while it is watched")
        timeline = Timeline(id, ready.variant.name, ()) if by_line else None
        return self.observed(ready), self.memory(ready, 30), timeline


def told(comparison, ready, accelerator=None):
    """What is told of each variant, shortly: kind, variant, and what that is the same as."""
    made = counting.Counting(comparison, ready, accelerator)
    return [
        (type(record).__name__, record.variant, getattr(record, "same_as", ""))
        for each in made.variants
        for record in made.of(each)
    ]


def test_the_limits_of_what_is_watched_and_of_what_is_counted_once_are_in_order():
    # A millisecond, a fiftieth of a second, and what is too long for a second execution.
    assert (counting.OBSERVED_FROM, counting.COUNTED_ONCE_FROM) == (1e-3, 2e-2)
    assert counting.COUNTED_ONCE_FROM < counting.LONG


def test_bytes_of_short_calls_are_counted_and_followed_of_each_in_the_order_of_the_plan(monkeypatch):
    asked = Asked(monkeypatch, 1e-3)
    found = told(*a_comparison("alike", "baseline", "empty", "uncounted", "twin"))
    assert found == [
        ("Memory", "alike", ""),
        ("Timeline", "alike", ""),
        ("Memory", "baseline", ""),
        ("Timeline", "baseline", ""),
        # A twin is not followed.
        ("Memory", "twin", ""),
    ]
    assert [name for name, *_ in asked.log] == ["memory", "follow", "memory", "follow", "memory"]


def test_what_is_no_model_of_the_users_counts_as_short_however_long_it_takes(monkeypatch):
    asked = Asked(monkeypatch, 100.0)
    found = told(*a_comparison("alike", "baseline", workload="chain", timeline=False))
    assert found == [("Memory", "alike", ""), ("Memory", "baseline", "")]
    assert [name for name, *_ in asked.log] == ["memory", "memory"]


def test_of_longer_calls_it_is_told_what_they_execute_the_baseline_first(monkeypatch):
    Asked(monkeypatch, 2e-2)
    found = told(*a_comparison("other", "alike", "baseline", timeline=False))
    assert found == [
        ("Execution", "baseline", ""),
        ("Memory", "baseline", ""),
        ("Execution", "other", ""),
        ("Memory", "other", ""),
        ("Execution", "alike", "baseline"),
        ("Memory", "alike", ""),
    ]


@pytest.mark.parametrize("accelerator", [None, object()], ids=["cpu", "device"])
def test_of_long_calls_bytes_are_copied_from_what_executes_the_same(monkeypatch, accelerator):
    asked = Asked(monkeypatch, 2.1e-2)
    comparison, ready = a_comparison("alike", "baseline", "other")
    made = counting.Counting(comparison, ready, accelerator)
    records = [record for each in made.variants for record in made.of(each)]
    found = [(type(each).__name__, each.variant, getattr(each, "same_as", "")) for each in records]
    assert found == [
        ("Execution", "baseline", ""),
        ("Memory", "baseline", ""),
        ("Timeline", "baseline", ""),
        ("Execution", "alike", "baseline"),
        ("Memory", "alike", "baseline"),
        ("Execution", "other", ""),
        ("Memory", "other", ""),
        ("Timeline", "other", ""),
    ]
    peaks = {each.variant: each.peak for each in records if isinstance(each, Memory)}
    assert set(peaks.values()) == {20 if accelerator is None else 10}
    if accelerator is None:
        names = ("baseline", "alike", "other")
        # A call that is not too long for it is executed a second time.
        assert asked.log == [("long", name, True, True) for name in names]
    executions = [each for each in records if isinstance(each, Execution)]
    assert {(each.comparison, each.seconds, each.operators, each.declared) for each in executions} == {
        ("c", 0.5, 3, False)
    }


def test_of_very_long_calls_what_is_declared_is_copied_and_what_is_alone_is_executed_once(monkeypatch):
    asked = Asked(monkeypatch, counting.LONG + 1.0, known={"entered": "baseline"})
    names = ("baseline", "entered", "tracked", "inference", "detach_after", "twin")
    comparison, ready = a_comparison(*names)
    ready[1].took = 0.25
    made = counting.Counting(comparison, ready, None)
    records = [record for each in made.variants for record in made.of(each)]
    executions = {each.variant: each for each in records if isinstance(each, Execution)}
    assert executions["entered"] == Execution("c", "entered", 0.25, "baseline", 3, declared=True)
    memory = {each.variant: (each.peak, each.same_as) for each in records if isinstance(each, Memory)}
    assert memory["entered"] == (20, "baseline")
    assert {memory[name] for name in ("tracked", "inference", "detach_after")} == {(30, "")}
    assert asked.log == [
        ("long", "baseline", False, True),
        ("once", "tracked", True),
        ("once", "inference", True),
        ("once", "detach_after", True),
        ("long", "twin", False, False),
    ]


def test_alternatives_are_each_alone(monkeypatch):
    asked = Asked(monkeypatch, counting.LONG + 1.0)
    told(*a_comparison("baseline", "alike", alternatives=True, timeline=False))
    assert asked.log == [("once", "baseline", False), ("once", "alike", False)]


def test_what_torch_refuses_while_it_is_watched_is_counted_as_a_shorter_call_is(monkeypatch):
    asked = Asked(monkeypatch, counting.LONG + 1.0, once=False)
    found = told(*a_comparison("baseline", "tracked", timeline=False))
    assert found[-2:] == [("Execution", "tracked", ""), ("Memory", "tracked", "")]
    assert asked.log[1:] == [("once", "tracked", False), ("long", "tracked", False, False)]


def test_what_was_seen_is_told_where_counting_fails(monkeypatch):
    asked = Asked(monkeypatch, 1.0)

    def fails(ready, id, known, repeats, by_line):
        known(asked.observed(ready))
        raise Unrepeatable("two executions allocated otherwise")

    monkeypatch.setattr(counting, "measure_long", fails)
    comparison, ready = a_comparison("baseline")
    records = counting.Counting(comparison, ready, None).of(ready[0])
    assert type(next(records)) is Execution
    with pytest.raises(Unrepeatable):
        next(records)


def test_a_call_lasts_as_long_as_its_check_or_as_one_more(monkeypatch):
    now = iter([10.0, 12.5])
    monkeypatch.setattr(counting.time, "perf_counter", lambda: next(now))
    ran = []
    ready = SimpleNamespace(took=0.0, set_up_call=lambda: {"made": 1}, run_and_keep=ran.append)
    assert counting._took(ready) == ready.took == 2.5
    assert ran == [{"made": 1}]
    assert counting._took(ready) == 2.5
    assert len(ran) == 1
