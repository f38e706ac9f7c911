"""What tests share: one real run, and workers that stand in for real processes."""

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from browsing import browser, context, look_at, open_page, report  # noqa: F401 -- fixtures
from synthetic import ENVIRONMENT

from gradbench.cli import main as cli
from gradbench.measure import devices, one_pass, pace, processors, run
from gradbench.measure import goal as goals
from gradbench.measure.collector import freeze_imported
from gradbench.measure.process import WorkerLost
from gradbench.measure.protocol import Finish, Ready
from gradbench.measure.steering import Steering
from gradbench.record.observation import Observation
from gradbench.record.results import Options
from gradbench.record.visits import Memory, VariantTime, Visit

BENCHMARKS = Path(__file__).with_name("benchmark")
GRADBENCH = Path(sys.executable).with_name("gradbench")

COMPARED = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--ratio-fail",
        type=float,
        metavar="PERCENT",
        help="with --benchmark-compare: fail where a method's ratio to the baseline rose by more than this",
    )


def pytest_configure(config):
    allowed = config.getoption("ratio_fail")
    if allowed is not None and not (allowed >= 0 and config.getoption("benchmark_compare", [])):
        raise pytest.UsageError(
            f"--ratio-fail: expected 0 or more per cent, and a saved run; got {allowed:g} and "
            f"--benchmark-compare={config.getoption('benchmark_compare', None) or 'nothing'}; "
            "save one with --benchmark-autosave, and give --benchmark-compare"
        )


def pytest_sessionstart():
    """What tests start, pytest and asv among it, starts as from a shell: not as a part of this session."""
    for name in (
        "PYTEST_XDIST_WORKER",
        "PYTEST_XDIST_WORKER_COUNT",
        "PYTEST_XDIST_TESTRUNUID",
        "PYTEST_ADDOPTS",
    ):
        os.environ.pop(name, None)


def pytest_collection_finish():
    """One thread, as in a worker without --threads: on few elements threads only wait for each other."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def pytest_ignore_collect(collection_path, config):
    """Benchmarks are collected where they are asked for, and with --benchmark-only nothing else is."""
    inside = collection_path == BENCHMARKS or BENCHMARKS in collection_path.parents
    only = config.getoption("benchmark_only", False)
    if not inside:
        return True if only and collection_path.is_file() else None
    named = any(
        BENCHMARKS in (path := (config.invocation_params.dir / each.partition("::")[0]).resolve()).parents
        or path == BENCHMARKS
        for each in config.args
    )
    return None if only or named or config.getoption("benchmark_enable", False) else True


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info):
    """A saved run says which torch it measured; not whose machine, nor what changes by the second."""
    import torch

    machine_info["torch"] = str(torch.__version__)
    del machine_info["node"]
    for name in [each for each in machine_info["cpu"] if each.startswith("hz_actual")]:
        del machine_info["cpu"][name]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(config, compared_benchmark):
    """Keep the saved run that this one is compared with: pytest-benchmark compares times only."""
    config.stash[COMPARED] = {each["fullname"]: each for each in compared_benchmark["benchmarks"]}


@pytest.fixture(autouse=True)
def what_is_imported_is_not_collected():
    """As in a worker: else each collection in a test walks all of torch."""
    freeze_imported()


@pytest.fixture(autouse=True)
def nothing_compiled():
    """Forget after each test what it compiled: a process that compiled once is not watched by operators."""
    yield
    if "torch._dynamo.utils" in sys.modules:
        sys.modules["torch._dynamo"].reset()
        sys.modules["torch._dynamo.utils"].counters.clear()


@pytest.fixture
def call(capsys):
    """Call the command in this process; returns exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(each) for each in arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


@pytest.fixture
def ratio_guard(request):
    """Fail a benchmark whose ratio rose against the saved run, by as much as --ratio-fail allows or more.

    Ratios of two runs bear with the drift of the machine, which divides out of each; times do not.
    """

    def guard(benchmark):
        allowed = request.config.getoption("ratio_fail")
        before = request.config.stash.get(COMPARED, {}).get(benchmark.fullname)
        if allowed is None or before is None:
            return
        then, now = before["extra_info"], benchmark.extra_info
        assert now["ratio_low"] <= then["ratio_high"] * (1 + allowed / 100), (
            f"ratio to {now['baseline']}: {now['ratio']:.3f} ({now['ratio_low']:.3f} to "
            f"{now['ratio_high']:.3f}), before {then['ratio']:.3f} ({then['ratio_low']:.3f} to "
            f"{then['ratio_high']:.3f}); {allowed:g} % more was allowed"
        )

    return guard


@pytest.fixture(scope="session")
def gradbench():
    """Call the installed command in a folder; the result has returncode, stdout and stderr."""

    def call(*arguments, cwd):
        return subprocess.run([GRADBENCH, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)

    return call


@pytest.fixture(scope="session")
def built_once(request, tmp_path_factory):
    """A folder by name, for all processes of the session: the first that asks fills it, by `make(folder)`."""
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent

    def build(name, make):
        folder, whole = base / name, base / f"{name}.whole"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                # What a process that failed has left is not taken for what another one made.
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return build


@pytest.fixture(scope="session")
def small_run(gradbench, built_once):
    """The folder of one real run: three passes over two comparisons, two at a time, with its report.

    Tests only read it.
    """

    def make(folder):
        done = gradbench(
            "run", "--workload", "control,elementwise", "--size", "small", "--method", "tracked,no_grad",
            "--preset", "quick", "--passes", "3", "--jobs", "2", "--output", folder / "run", cwd=folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    return built_once("small", make) / "run"


def visit_of(number, comparison, error=0.001, seconds=0.5):
    variants = {variant.name: VariantTime(50, 1e-6, 0.9e-6, 1.1e-6, 0.0) for variant in comparison.variants}
    return Visit(number, comparison.id, 100, seconds, 0.02, error, variants)


def memory_of(comparison):
    return [
        Memory(comparison.id, variant.name, 8, 1, 8, 8, 0, 0, None, "by hand")
        for variant in comparison.variants
        if variant.role != "empty"
    ]


class Workers:
    """Takes the place of WorkerProcess: answers at once, on a clock of its own.

    Attributes:
        started: WorkerSettings, hash seed, padding and allocator of each process.
        tasks: pass, kind, comparison and seconds of each task.
        bound: the processors that the process of a pass was bound to, by the pass's number.
        lose: called with the settings and the comparison; a kind of loss, or None for an answer.
    """

    def __init__(self):
        self.environment = ENVIRONMENT
        self.free, self.lacks = {}, {"cuda": "there is no driver"}
        self.started, self.tasks = [], []
        self.bound: dict[int, set[int]] = {}
        self.now, self.startup, self.around = 0.0, 1.0, 0.02
        self.lose = lambda settings, comparison: None
        self.noise = lambda comparison: 0.001
        self.observed = [Observation("persistence", "How long?", "seen = {}", "no_grad", {"after": True})]

    def __call__(self, settings, hash_seed, padding, allocator, python=sys.executable):
        self.started.append(
            SimpleNamespace(settings=settings, hash_seed=hash_seed, padding=padding, allocator=allocator)
        )
        self.now += self.startup
        return _StandIn(self, settings)

    def ready(self):
        return Ready(self.environment, self.startup, free=self.free, lacks=self.lacks)

    def visit(self, settings, task):
        if task.comparison is None:
            yield from self.observed
            return
        self.tasks.append((settings.number, settings.kind, task.comparison.id, task.seconds))
        kind = self.lose(settings, task.comparison)
        if kind is not None:
            raise WorkerLost(kind, "lost on purpose")
        self.now += self.around
        if settings.kind == "memory":
            yield from memory_of(task.comparison)
            return
        self.now += task.seconds
        yield visit_of(settings.number, task.comparison, self.noise(task.comparison), task.seconds)

    def order(self, number):
        return [id for pass_, _, id, _ in self.tasks if pass_ == number]


class _StandIn:
    """One process that `Workers` starts."""

    def __init__(self, workers, settings):
        self._workers, self._settings = workers, settings

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ready(self):
        return self._workers.ready()

    def bind(self, processors):
        self._workers.bound[self._settings.number] = processors

    def kill(self):
        pass

    def visit(self, task, timeout):
        return self._workers.visit(self._settings, task)

    def ask(self, task, timeout):
        return itertools.chain(self.visit(task, timeout), [Finish()])


@pytest.fixture
def workers(monkeypatch):
    """Runs in this test start no process and take no time; the fixture tells what they asked for."""
    stand_in = Workers()
    monkeypatch.setattr(processors, "WATCHED", 0.0)
    clock = SimpleNamespace(monotonic=lambda: stand_in.now)
    for module, name, other in (
        (run, "WorkerProcess", stand_in),
        (one_pass, "WorkerProcess", stand_in),
        (devices, "WorkerProcess", stand_in),
        (one_pass, "time", clock),
        (pace, "time", clock),
    ):
        monkeypatch.setattr(module, name, other)
    return stand_in


@pytest.fixture(scope="session")
def wait_until_gone():
    """Wait until a process, not necessarily a child, has ended; fail where it has not within seconds."""

    def gone(pid):
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def wait(pid, seconds=5.0):
        until = time.monotonic() + seconds
        while not gone(pid):
            assert time.monotonic() < until, f"process {pid} is still there after {seconds} s"
            time.sleep(0.02)

    return wait


@pytest.fixture
def measure_into():
    """Start a run as the command would, with a goal in passes unless told otherwise."""

    def measure(folder, request, passes=3, goal=None, plan=None, precision=None, jobs=1, **options):
        known = {"preset": "quick", "threads": 1, "allocator": "keep", "timeout": 30.0}
        order = run.Order(request, Options(**{**known, **options}), "gradbench run", plan)
        steering = Steering(
            goal or goals.Goal(passes, None, None, 0.1), precision or (lambda _: None), jobs=jobs
        )
        return run.start(folder, order, steering)

    return measure
