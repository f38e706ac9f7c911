"""What can only be seen on a CUDA device: `make test-cuda` on a machine that has one."""

import io
import json
import sys

import msgspec
import pytest
import torch

from gradbench import functions
from gradbench.define.planner import plan_run
from gradbench.guard import assert_not_slower, compare_time, measure_bytes
from gradbench.measure import clock
from gradbench.measure.clock import Accelerator, DeviceClock
from gradbench.measure.environment import observe
from gradbench.measure.protocol import Message, Task, WorkerSettings
from gradbench.measure.variant import ReadyVariant
from gradbench.measure.worker import Worker, inspect_devices
from gradbench.record.plan import Comparison, Expectation, Request, Variant
from gradbench.record.results import read_results
from gradbench.record.visits import Failure, Kernels, Memory, Visit

COUNT = torch.cuda.device_count() if torch.cuda.is_available() else 0
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not COUNT, reason="needs a CUDA device; on a machine with one: make test-cuda"),
]


def visit(comparison, kind="time"):
    output = io.BytesIO()
    Worker(WorkerSettings(1, kind, 0, torch.get_num_threads()), output, io.BytesIO()).visit(
        Task(comparison, 0.0)
    )
    return [msgspec.json.decode(line, type=Message) for line in output.getvalue().splitlines()]


def by_hand(*variants, prepare='base = torch.ones(8, device="cuda:0")'):
    every = [
        Variant(name, name, role, "", statement, "", Expectation()) for name, role, statement in variants
    ]
    return Comparison(
        "c", "control", "", "", "small", 8, (8,), "float32", "cuda:0", prepare, "", 1e-6, tuple(every)
    )  # fmt: skip


def of(variant, n):
    """Host, wall and device nanoseconds per call."""
    timer = DeviceClock(Accelerator("cuda:0"))
    ready = ReadyVariant(Variant("a", "a", "method", "", variant, "", Expectation()), {})
    timer.calibrate(ready, clock.BATCH_SECONDS)
    # Of several, so that a host that is held up once does not decide.
    host, wall = (min(each) for each in zip(*(timer.wall(ready, n) for _ in range(5)), strict=True))
    return host / n, wall / n, timer.device(ready, n) / n


def test_the_device_time_of_a_spin_grows_with_its_cycles_and_the_hosts_does_not():
    (host, wall, once), (later, _, twice) = (of(f"torch.cuda._sleep({n})", 5) for n in (10**6, 2 * 10**6))
    assert twice / once == pytest.approx(2, rel=0.1)
    assert wall == pytest.approx(once, rel=0.2)
    assert host < once / 3
    assert later < twice / 3


def test_small_kernels_cost_the_host_more_than_the_device():
    host, wall, device = of("y = torch.ones(1, device='cuda:0')", 100)
    assert 0 < device < host <= wall


def test_a_statement_that_launches_nothing_has_no_device_time_and_one_that_waits_none_that_is_known():
    variants = (
        ("a", "baseline", "y = base * 2"),
        ("b", "method", "y = base.detach()"),
        ("c", "method", "y = (base * 2).sum().item()"),
        ("empty", "empty", "pass"),
    )
    (found,) = visit(by_hand(*variants))
    assert isinstance(found, Visit)
    assert found.variants["a"].device.seconds > found.variants["a"].device.least
    assert found.variants["b"].device.seconds <= found.variants["b"].device.least
    assert found.variants["c"].device is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_workload_passes_its_checks_and_is_timed(dtype):
    request = Request(device="cuda:0", dtype=dtype, sizes=("small",), preset="standard")
    for comparison in plan_run(request).comparisons:
        found = visit(comparison)
        assert [each for each in found if isinstance(each, Failure)] == [], comparison.id
        assert isinstance(found[-1], Visit)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("elements", [1, 1023, 1025, 10**6 + 1])
def test_the_function_in_triton_is_the_chain(dtype, elements):
    if not functions.triton_available():
        pytest.skip("needs Triton, and a C compiler")
    # Values up to 3, as sines and cosines of up to 9 are made of reduced arguments.
    x = (3 * torch.rand(elements, device="cuda:0", dtype=torch.float64)).to(dtype).requires_grad_()
    y = functions.exp_sin_square(x, form="triton")
    assert type(y.grad_fn).__name__ == "_TritonBackward"
    y.sum().backward()
    wide = x.detach().double()
    square = (x.detach() * x.detach()).double()
    value = square.sin().exp()
    derivative = 2 * wide * square.cos() * value
    epsilon = torch.finfo(dtype).eps
    assert ((y.detach().double() - value).abs() / value).max() < 3 * epsilon
    assert ((x.grad.double() - derivative).abs() / (2 * wide * value + 1e-30)).max() < 5 * epsilon


def test_graphs_of_the_chain_are_measured_and_give_its_results():
    request = Request(("custom",), ("graphed", "replayed"), ("1e4",), device="cuda:0")
    (comparison,) = (each for each in plan_run(request).comparisons if each.part == "both")
    *failures, found = visit(comparison)
    assert failures == []
    assert found.variants.keys() >= {"composed", "graphed", "replayed"}


def test_the_profiler_sees_the_kernels_and_how_long_they_take():
    (comparison,) = plan_run(Request(("chain",), ("no_grad",), ("1e8",), device="cuda:0")).comparisons
    watched = {each.variant: each for each in visit(comparison, "memory") if isinstance(each, Kernels)}
    # A power, a sine and an exponential, whatever the method.
    assert {each.count for each in watched.values()} == {3}
    timed = visit(comparison)[-1]
    for name, each in watched.items():
        assert timed.variants[name].device.seconds == pytest.approx(each.seconds, rel=0.05)


def test_memory_of_a_chain_is_what_arithmetic_says_to_the_byte():
    methods = ("tracked", "no_grad", "detach_after")
    (comparison,) = plan_run(Request(("chain",), methods, ("1e6",), device="cuda:0")).comparisons
    found = {each.variant: each for each in visit(comparison, "memory") if isinstance(each, Memory)}
    # In units of x: three results; recording keeps the square (for the sine) and the last (for itself).
    unit = 4 * 1_000_000
    wanted = {"tracked": (3, 3, 2), "no_grad": (3, 2, 1), "detach_after": (3, 3, 1)}
    for name, units in wanted.items():
        record = found[name]
        assert (record.allocated, record.peak, record.retained) == tuple(unit * each for each in units), name
        assert record.peak_blocks >= record.peak


def test_memory_that_runs_out_is_a_row_and_is_given_back():
    before = Accelerator("cuda:0").free()
    variants = (
        ("a", "baseline", "y = base * 2"),
        ("b", "method", "y = torch.empty(10**13, device='cuda:0')"),
    )
    failure, found = visit(by_hand(*variants))
    assert (failure.variant, failure.kind) == ("b", "out of memory")
    assert found.variants.keys() == {"a"}
    assert Accelerator("cuda:0").free() > before - 2**30


def test_what_is_here_is_described_and_its_memory_is_free_to_some_part():
    environment = observe(accelerators=True)
    free, lacks = inspect_devices(environment.devices)
    assert len(environment.accelerators) == COUNT == len(environment.devices) - 1
    for each in environment.accelerators:
        assert each.device in lacks or 0 < free[each.device] <= each.memory


def test_a_device_beyond_those_that_are_here_is_refused_in_a_line(gradbench, tmp_path):
    done = gradbench("run", "--device", f"cuda:{COUNT}", "--output", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert f"--device cuda:{COUNT}: " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_run_on_all_devices_leaves_a_report_with_both(gradbench, tmp_path):
    done = gradbench(
        "run", "--device", "all", "--workload", "control,elementwise", "--size", "100,1e4,1e6,1e7",
        "--method", "no_grad,tracked", "--preset", "quick", "--passes", "3", "--output", "out", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = read_results(tmp_path / "out")
    assert results.failures == []
    assert {each.comparison.rpartition("/")[2] for each in results.visits} >= {"cpu", "cuda:0"}
    assert "turns into the device" in (tmp_path / "out" / "report.html").read_text()


def test_cold_calls_take_the_device_longer_than_warm_ones_where_data_fit_the_cache():
    request = Request(("elementwise",), ("no_grad",), ("1e6",), device="cuda:0")
    warm, cold = (
        visit(plan_run(msgspec.structs.replace(request, cold=each)).comparisons[0])[-1]
        for each in (False, True)
    )
    name = "requires_grad_false"
    assert cold.variants[name].device.seconds > warm.variants[name].device.seconds


@pytest.mark.skipif(COUNT < 2, reason="needs two CUDA devices")
def test_a_visit_to_one_device_leaves_nothing_on_another():
    before = torch.cuda.memory_allocated(0)
    (comparison,) = plan_run(Request(("elementwise",), ("no_grad",), ("small",), device="cuda:1")).comparisons
    assert isinstance(visit(comparison)[-1], Visit)
    assert torch.cuda.memory_allocated(0) == before


def test_a_guard_waits_for_what_a_call_has_issued_and_counts_the_bytes_of_the_device():
    x = torch.rand(1 << 24, device="cuda")
    with pytest.raises(AssertionError, match=r"candidate takes 3\.\d* .* times baseline"):
        assert_not_slower(lambda: (x * 2, x * 3, x * 4), lambda: x * 2, margin=0.5)
    found = measure_bytes(lambda: x * 2)
    assert (found.device, found.peak, found.retained) == ("cuda:0", 4 << 24, 4 << 24)


def test_a_device_beside_the_current_one_is_waited_for_and_stays_beside_it():
    if COUNT < 2:
        pytest.skip("needs two CUDA devices")
    x = torch.rand(1 << 24, device="cuda:1")
    compare_time(lambda: x * 2, lambda: x * 2, device="cuda:1", seconds=0.2)
    assert torch.cuda.current_device() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workload", "elementwise", "--method", "no_grad", "--size", "large", "--device", "cuda"),
        ("--setup", "import torch; x = torch.rand(1 << 24, device='cuda')", "--statement", "y = x * 2"),
    ],
)
def test_two_sides_are_held_against_each_other_on_a_device(gradbench, tmp_path, arguments):
    done = gradbench(
        "versus", sys.executable, sys.executable, *arguments, "--pairs", "5", "--json", "--output", "trial",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    variants = json.loads(done.stdout)["variants"]
    # 64 MB read and 64 MB written: no device so far does that in 10 µs, and a launch alone takes less.
    assert all(each["seconds"][0] > (1e-5 if "statement" in each["variant"] else 0) for each in variants)
    assert {each["outcome"] for each in variants} <= {"same", "cannot tell"}
