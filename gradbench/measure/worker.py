"""One pass: a fresh process that visits comparisons, one after another. Run as `python -m
gradbench.measure.worker`.

It reads a WorkerSettings and then Tasks, a line of JSON each, and answers with Messages on its first standard
output. Output of measured code goes to standard error. The worker writes no file.

    for each task:
        build the variants, in random order; check that each does what its method promises
        choose one n per variant so that a batch takes about 50 µs
        until the slice of time is used:
            for each variant, in random order: time a batch of n calls
        emit one visit: per variant the time per call, and the log-ratio to the baseline, paired by round

On an accelerator a round has two batches of each variant, and a batch is longer: see
    `gradbench.measure.clock`.
"""

from __future__ import annotations

import time

_STARTED = time.perf_counter()

import ctypes  # noqa: E402 -- the clock above must start before torch is imported
import gc  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterable, Sequence  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, BinaryIO  # noqa: E402

import msgspec  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402

from gradbench import __version__  # noqa: E402
from gradbench.measure import clock  # noqa: E402
from gradbench.measure.calibration import level  # noqa: E402
from gradbench.measure.checks import CheckFailed, agreement_of  # noqa: E402
from gradbench.measure.collector import freeze_imported  # noqa: E402
from gradbench.measure.device_rounds import take_device_rounds, with_parts  # noqa: E402
from gradbench.measure.environment import first_line, observe, why_no_cuda  # noqa: E402
from gradbench.measure.faults import fault_of  # noqa: E402
from gradbench.measure.namespaces import Namespace, Namespaces  # noqa: E402
from gradbench.measure.protocol import (  # noqa: E402
    PROTOCOL,
    Calibrated,
    Check,
    Finish,
    Message,
    Ready,
    Task,
    Turn,
    Turned,
    WorkerSettings,
)
from gradbench.measure.telemetry import Watch  # noqa: E402
from gradbench.measure.variant import ReadyVariant, prepare  # noqa: E402
from gradbench.measure.visit import (  # noqa: E402
    Span,
    VariantFailed,
    build,
    calibrated,
    run_batch,
    take_cpu_rounds,
    take_rounds,
    timed,
    visit_times,
)
from gradbench.record.devices import KINDS, kind_of  # noqa: E402
from gradbench.record.metric import Metric  # noqa: E402
from gradbench.record.plan import STATEMENT, Comparison, Variant  # noqa: E402
from gradbench.record.versions import FileText  # noqa: E402
from gradbench.record.visits import Failure, Visit  # noqa: E402


class Worker:
    """Answers tasks until its input ends."""

    def __init__(self, settings: WorkerSettings, output: BinaryIO, source: BinaryIO) -> None:
        """Write messages to `output`; turns, where the settings say so, come in on `source`."""
        self._settings = settings
        self._output = output
        self._source = source
        self._random = random.Random(settings.seed)
        # The device of the measurement, where it is not the CPU.
        self._accelerator: clock.Accelerator | None = None
        self._broken = ""
        # The names that a user's file defines, by its text.
        self._files: dict[str, dict[str, Any]] = {}
        torch.set_num_threads(settings.threads)
        self._namespaces: Namespaces | None = None
        self._loaded: dict[FileText, Namespace] = {}
        if settings.file and not settings.files:
            # As for a program, but after the import of torch, so that no module there replaces one of
            # torch's.
            sys.path.insert(0, os.path.dirname(settings.file))  # noqa: PTH120

    def say(self, message: Message) -> None:
        """Send one message to the parent."""
        self._output.write(msgspec.json.encode(message) + b"\n")
        self._output.flush()

    def visit(self, task: Task) -> None:
        """Visit one comparison: a Visit or Memory records, and a Failure for each variant that fell out.

        Raises SystemExit where the device can no longer be used by this process.
        """
        if task.comparison is None:
            for message in self._look(task):
                self.say(message)
            return
        self._visit(task.comparison, task)
        if self._accelerator is not None and not self._broken:
            # The worker holds no object of the visit any more. Collect its cycles as well.
            gc.collect()
            self._accelerator.give_back()
        if self._broken:
            raise SystemExit(f"this process cannot use its device any more: {self._broken}")

    def _visit(self, comparison: Comparison, task: Task) -> None:
        started = time.perf_counter()
        # During a measurement only the measured code may release memory.
        gc.disable()
        built: list[ReadyVariant] = []
        try:
            self._accelerator = None
            if comparison.device != "cpu":
                self._accelerator = clock.Accelerator(comparison.device)
            variants = built = self._build(comparison, task.check)
            if self._accelerator is None and self._settings.kind != "time":
                self._accelerator = self._found(comparison)
            if self._settings.kind == "memory":
                self._memory(comparison, variants)
            while variants and self._settings.kind != "memory":
                try:
                    if self._settings.kind == "turns":
                        self._turns(variants)
                    else:
                        self._time(comparison, variants, task, started)
                    break
                except VariantFailed as failed:
                    self._fail(comparison, failed.ready.variant.name, "time", failed.error)
                    variants = [each for each in variants if each is not failed.ready]
                    if failed.ready.variant.role == "baseline":
                        break
                if self._broken:
                    break
        except Exception as error:
            self._fail(comparison, None, self._settings.kind, error)
        finally:
            for ready in built:
                ready.close()
            gc.enable()

    def _build(self, comparison: Comparison, check: Check) -> list[ReadyVariant]:
        return build(
            comparison,
            check,
            self._random,
            lambda variant, error: self._fail(comparison, variant.name, "check", error),
            self._prepared(comparison),
            lambda variant, y, baseline: self._agree(comparison, variant, y, baseline, check),
        )

    def _time(self, comparison: Comparison, variants: list[ReadyVariant], task: Task, started: float) -> None:
        device = self._device_clock()
        roles = [ready.variant.role for ready in variants]
        calls = level(calibrated(variants, self._settings.batch_seconds, device, task.known), roles)
        watch = Watch() if self._accelerator is None else Watch(self._accelerator.uuid())
        begun = time.perf_counter()
        latest = math.inf if task.most is None or device is not None else started + task.most
        span = Span(min(begun + task.seconds, latest), latest)
        if device is None:
            rounds = take_cpu_rounds(variants, calls, span, self._random, self._settings.threads)
        else:
            rounds = take_device_rounds(device, variants, calls, span, self._random)
        ended = time.perf_counter()
        telemetry = watch.read()
        variant_times, error = visit_times(roles, calls, rounds.wall)
        if rounds.host is not None and rounds.device is not None:
            per_call = any(ready.variant.setup_per_call for ready in variants)
            variant_times = with_parts(variant_times, roles, rounds.host, rounds.device, per_call)
        self.say(
            Visit(
                number=self._settings.number,
                comparison=comparison.id,
                rounds=len(rounds.wall),
                timed_seconds=ended - begun,
                other_seconds=begun - started + time.perf_counter() - ended,
                error=error,
                variants={
                    ready.variant.name: each for ready, each in zip(variants, variant_times, strict=True)
                },
                telemetry=telemetry,
                clock=rounds.clock,
            )
        )

    def _fail(self, comparison: Comparison, variant: str | None, stage: str, error: Exception) -> bool:
        """Report a failure; returns whether this process can go on."""
        fault = fault_of(error)
        self._broken = self._broken or fault.breaks
        self.say(Failure(self._settings.number, comparison.id, variant, stage, fault.kind, fault.message))
        return not self._broken

    def _found(self, comparison: Comparison) -> clock.Accelerator | None:
        """The device on which a user's statement has put its tensors, requested or not."""
        if comparison.workload != STATEMENT:
            return None
        found = [each.device for each in clock.in_use()]
        if len(found) > 1:
            raise CheckFailed(f"expected a statement that uses one device; it uses {' and '.join(found)}")
        return clock.Accelerator(found[0]) if found else None

    def _agree(
        self, comparison: Comparison, variant: Variant, y: torch.Tensor, baseline: torch.Tensor, check: Check
    ) -> None:
        """Report once how far a result is from the baseline's.

        For random results the check only asks whether they are finite, so there is nothing to report.
        """
        if check == "answers" and y.dtype != torch.bool:
            found = agreement_of(comparison, variant, y, baseline)
            self.say(msgspec.structs.replace(found, same_x=self._same_x(comparison, variant)))

    def _same_x(self, comparison: Comparison, variant: Variant) -> bool:
        """Whether the file of a variant has the same x as the baseline's."""
        if not comparison.files:
            return True
        files = self._files_of(comparison)
        one, other = (files[each.file].names["x"] for each in (variant, comparison.baseline))
        return bool(one.dtype == other.dtype and torch.equal(one, other))

    def _prepared(self, comparison: Comparison) -> dict[str, Any]:
        """The names that the variants share. A user's file runs once in a process: it may take seconds."""
        if comparison.files:
            return dict(self._files_of(comparison))
        if not self._settings.file:
            return prepare(comparison)
        if comparison.prepare not in self._files:
            self._files[comparison.prepare] = prepare(comparison, self._settings.file)
        return dict(self._files[comparison.prepare])

    def _files_of(self, comparison: Comparison) -> dict[str, Namespace]:
        """The user's files by name, each file as if it ran alone."""
        if self._namespaces is None:
            self._namespaces = Namespaces(self._settings.files)
        for file in comparison.files:
            if file not in self._loaded:
                self._loaded[file] = self._namespaces.load(file.name, file.text)
        return {file.name: self._loaded[file] for file in comparison.files}

    def _look(self, task: Task) -> Sequence[Message]:
        """The facts of the user's code in a task; without user's code, the observations of the methods."""
        settings, text = self._settings, task.file_text
        if task.versions:
            from gradbench.measure.version_files import inspect_versions

            return [inspect_versions(task.versions, settings)]
        if text is None:
            from gradbench.measure.probes import observe_traits

            return observe_traits()
        if task.operation:
            from gradbench.measure.operation import inspect_operation

            return [inspect_operation(task.operation, task.x, text, settings.file, settings.seed)]
        from gradbench.measure.examine import Asked
        from gradbench.measure.user_file import inspect_user_file

        asked = Asked(task.fit, task.changes)
        return [inspect_user_file(text, settings.file, settings.seed, settings.threads, asked)]

    def _memory(self, comparison: Comparison, variants: list[ReadyVariant]) -> None:
        from gradbench.measure.counting import Counting

        counting = Counting(comparison, variants, self._accelerator)
        for ready in counting.variants:
            if not self._tell(comparison, ready.variant.name, "memory", partial(counting.of, ready)):
                return
        filled = [ready for ready in variants if ready.variant.role != "empty"]
        self._figures(comparison, filled)
        if self._accelerator is not None and not self._broken:
            from gradbench.measure.kernels import watch_kernels

            # Empty where the profiler does not see the device.
            watch = partial(watch_kernels, filled, comparison.id, self._accelerator)
            self._tell(comparison, None, "kernels", watch)

    def _figures(self, comparison: Comparison, variants: list[ReadyVariant]) -> None:
        """Report the figures of extensions for each variant."""
        from gradbench.measure.metrics import measure_figure

        def measure(metric: Metric, ready: ReadyVariant) -> Iterable[Message]:
            yield measure_figure(metric, ready, comparison.id)

        for ready in variants:
            for metric in self._settings.metrics:
                name, stage = ready.variant.name, f"metric {metric.name}"
                if not self._tell(comparison, name, stage, partial(measure, metric, ready)):
                    return

    def _tell(
        self, comparison: Comparison, variant: str | None, stage: str, make: Callable[[], Iterable[Message]]
    ) -> bool:
        """Report results, or a failure; returns whether this process can go on."""
        try:
            for record in make():
                self.say(record)
        except Exception as error:
            return self._fail(comparison, variant, stage, error)
        return True

    def _device_clock(self) -> clock.DeviceClock | None:
        return None if self._accelerator is None else clock.DeviceClock(self._accelerator)

    def _turns(self, variants: list[ReadyVariant]) -> None:
        """Time the variants whenever it is this worker's turn, with the requested number of calls.

        On an accelerator the time goes on until the device has finished.
        """
        device = self._device_clock()
        alone = calibrated(variants, self._settings.batch_seconds, device)

        def run(ready: ReadyVariant, n: int) -> float:
            return run_batch(ready, n) if device is None else timed(device.wall, ready, n)[1]

        self.say(Calibrated({ready.variant.name: n for ready, n in zip(variants, alone, strict=True)}))
        decoder = msgspec.json.Decoder(Turn)
        while (turn := decoder.decode(self._source.readline())).calls:
            taken = [ready for ready in variants if ready.variant.name in turn.calls]
            calls = [turn.calls[ready.variant.name] for ready in taken]
            # The other worker has used the caches since then.
            for ready, n in zip(taken, calls, strict=True):
                run(ready, n)
            span = Span(time.perf_counter() + turn.seconds)
            times = take_rounds(run, taken, calls, span, 1, self._random)
            seconds = numpy.median(times, axis=0) / numpy.array(calls) / 1e9
            self.say(Turned({r.variant.name: float(each) for r, each in zip(taken, seconds, strict=True)}))


def _die_with_parent() -> None:
    """Let the system end this process when the parent is gone, even during a visit (Linux)."""
    if sys.platform == "linux":
        prctl_pdeathsig = 1
        ctypes.CDLL(None).prctl(prctl_pdeathsig, signal.SIGKILL)


def inspect_devices(devices: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Free bytes by accelerator; and torch's reason for accelerators that cannot be used."""
    free: dict[str, int] = {}
    lacks: dict[str, str] = {}
    for device in devices:
        if device == "cpu" or kind_of(device) not in KINDS:
            continue
        try:
            free[device] = clock.Accelerator(device).free()
        except RuntimeError as error:
            lacks[device] = first_line(error)
    return free, lacks if len(devices) > 1 else {"cuda": why_no_cuda()}


def imported_from(folder: str) -> int:
    """The number of imported modules from a folder."""
    root = Path(folder).resolve()
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return sum(root in Path(file).resolve().parents for file in files if isinstance(file, str))


def main() -> None:
    """Answer the tasks that come in on standard input."""
    _die_with_parent()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerSettings)
    worker = Worker(settings, output, sys.stdin.buffer)
    freeze_imported()
    environment = observe(accelerators=settings.accelerators)
    free, lacks = inspect_devices(environment.devices) if settings.kind == "devices" else ({}, {})
    took = time.perf_counter() - _STARTED
    worker.say(Ready(environment, took, __version__, free, lacks, PROTOCOL, torch.__file__ or ""))
    tasks = msgspec.json.Decoder(Task)
    for line in sys.stdin.buffer:
        task = tasks.decode(line)
        # An optimizer makes torch import its compiler, long after the start.
        freeze_imported()
        worker.visit(task)
        worker.say(Finish(imported_from(settings.sources) if settings.sources else 0))


if __name__ == "__main__":
    main()
