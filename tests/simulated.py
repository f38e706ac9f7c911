"""A simulated accelerator with a clock of its own: what tests have in the place of torch.cuda.

Its host and its device take exactly the time that they are told, so that what a clock should find is known.
"""

import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import torch

# What the launch of a kernel takes the host, and how many the queue holds.
LAUNCH_NS = 2_000
CAPACITY = 1_000
CYCLES_PER_NS = 1.5
BLOCK = 512


class Simulated:
    """Has the names of torch.cuda that are used, and those that a statement calls.

    Attributes:
        now: the host's clock, in nanoseconds.
        log: what was asked of the device, in order.
        kernels: when each began, and how long it takes, in nanoseconds.
        fullest: most launches that were ever in the queue at once.
        free: bytes of memory that are left.
        event_ns: what recording an event takes the host, and asking it.
    """

    def __init__(self, free=10**9):
        self.now = 1_000_000
        self.busy_until = 0
        self.queue = []
        self.fullest = 0
        self.log = []
        self.free = free
        self.total = free
        self.live = {"requested_bytes": 0, "allocated_bytes": 0, "allocation": 0}
        self.peak = dict(self.live)
        self.sum = dict(self.live)
        self.spins = []
        self.kernels = []
        self.given_back = 0
        self.broken = ""
        self.event_ns = 0

    # The host.

    def clock(self):
        self.now += 20
        return self.now

    def work(self, host_ns):
        """The host is busy with something of its own."""
        self.now += host_ns

    def launch(self, device_ns, host_ns=LAUNCH_NS):
        """The host issues a kernel that takes the device so long; it waits where the queue is full."""
        if self.broken:
            raise RuntimeError(self.broken)
        self.now += host_ns
        self.queue = [end for end in self.queue if end > self.now]
        if len(self.queue) >= CAPACITY:
            self.now = self.queue[0]
        begin = max(self.busy_until, self.now)
        self.busy_until = begin + device_ns
        self.kernels.append((begin, device_ns))
        self.queue.append(self.busy_until)
        self.fullest = max(self.fullest, len(self.queue))
        self.log.append("launch")

    def allocate(self, size):
        """A tensor of so many bytes on the device."""
        block = -(-size // BLOCK) * BLOCK
        if block > self.free:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")
        change = {"requested_bytes": size, "allocated_bytes": block, "allocation": 1}
        self.free -= block
        self._add(change, 1)
        tensor = torch.empty(size, dtype=torch.uint8)

        def release():
            self.free += block
            self._add(change, -1)

        weakref.finalize(tensor, release)
        return tensor

    def _add(self, change, sign):
        for name, value in change.items():
            self.live[name] += sign * value
            if sign > 0:
                self.sum[name] += value
            self.peak[name] = max(self.peak[name], self.live[name])

    # torch.cuda.

    def is_initialized(self):
        return bool(self.log or self.sum["allocation"])

    def device_count(self):
        return 2

    def current_device(self):
        return 0

    def memory_reserved(self, device):
        return self.live["allocated_bytes"] if device == 0 else 0

    def set_device(self, device):
        self.log.append(f"use {device}")

    def synchronize(self, device=None):
        self.log.append("synchronize")
        if self.broken:
            raise RuntimeError(self.broken)
        self.now = max(self.now, self.busy_until)
        self.queue = []

    def Event(self, enable_timing):
        assert enable_timing
        return _Event(self)

    def _sleep(self, cycles):
        self.spins.append(cycles)
        self.launch(cycles / CYCLES_PER_NS)
        self.log[-1] = "spin"

    def get_device_properties(self, device):
        return SimpleNamespace(name="Simulated", uuid="0123", major=9, minor=0, total_memory=self.total)

    def empty_cache(self):
        self.given_back += 1

    def mem_get_info(self, device):
        return self.free, self.total

    def memory_stats(self, device):
        return {
            f"{name}.all.{kind}": values[name]
            for name in self.live
            for kind, values in (("current", self.live), ("peak", self.peak), ("allocated", self.sum))
        }

    def reset_peak_memory_stats(self, device):
        self.peak = dict(self.live)


class _Event:
    def __init__(self, simulated):
        self._simulated = simulated
        self.time = None

    def record(self):
        self._simulated.log.append("event")
        self._simulated.now += self._simulated.event_ns
        self.time = max(self._simulated.now, self._simulated.busy_until)

    def query(self):
        self._simulated.now += self._simulated.event_ns
        return self._simulated.now >= self.time

    def elapsed_time(self, end):
        assert self._simulated.now >= end.time, "an event that the device has not reached has no time"
        return (end.time - self.time) / 1e6


class Profiler:
    """What stands in the place of torch's profiler: it sees what a simulated device does.

    `blind`: it sees nothing of it.
    """

    def __init__(self, simulated, blind=False):
        self._simulated = simulated
        self._blind = blind
        self._ranges = []
        self._before = 0
        self.profiler = self.kineto_results = self

    def __call__(self, activities):
        assert torch.profiler.ProfilerActivity.CUDA in activities
        return self

    def __enter__(self):
        self._before = len(self._simulated.kernels)
        self._ranges = []
        return self

    def __exit__(self, *raised):
        return None

    @contextmanager
    def record_function(self, name):
        # The host sleeps between two ranges.
        self._simulated.now += 50_000
        begin = self._simulated.now
        yield
        self._ranges.append((name, begin, self._simulated.now - begin))

    def events(self):
        kinds = torch.autograd.DeviceType
        found = [_Seen(*span, kinds.CPU) for span in self._ranges]
        if not self._blind:
            # As torch repeats a range among what the device does.
            found += [_Seen(*span, kinds.CUDA) for span in self._ranges]
            # And those of an optimizer, or of a model.
            for _, *span in self._ranges:
                found += [_Seen("Optimizer.step", *span, kind) for kind in (kinds.CPU, kinds.CUDA)]
            kernels = self._simulated.kernels[self._before :]
            found += [_Seen("a kernel", *span, kinds.CUDA) for span in kernels]
        return found


class _Seen:
    def __init__(self, name, begin, duration, kind):
        self.name, self.start_ns, self.duration_ns, self.device_type = (
            lambda: name, lambda: int(begin), lambda: int(duration), lambda: kind,
        )  # fmt: skip


class Calls:
    """A variant that calls a function; with a setup, calls are timed one by one, the setup before them."""

    def __init__(self, function, setup=None):
        self._function = function
        self._setup_per_call = setup
        self.variant = SimpleNamespace(name="a", setup_per_call="" if setup is None else "setup_per_call")

    def batch_marked(self, n, marks):
        if self._setup_per_call is not None:
            self._setup_per_call()
        self._function()
        if self._setup_per_call is None:
            marks.begin()
        for _ in range(n):
            if self._setup_per_call is not None:
                self._setup_per_call()
                marks.begin()
            self._function()
            if self._setup_per_call is not None:
                marks.end()
        if self._setup_per_call is None:
            marks.end()
