"""The result of `gradbench.model`: the evaluation of a module under every control, and its training."""

from __future__ import annotations

from typing import Any

import msgspec

from gradbench import format
from gradbench.library.bytes import FIGURES, Bytes, cells
from gradbench.library.comparison import NUMBERS, Comparison, joined
from gradbench.library.modules import Modules
from gradbench.library.table import Shown, Table, frame


class Part(msgspec.Struct, frozen=True):
    """A part of a training step.

    Attributes:
        name: `forward` (with the loss), `backward`, or `step` (both, and gradients cleared).
        seconds: median per call.
        bytes: of one call; None where they are not known. The step's bytes include those of the backward.
        why_no_bytes: the reason where they are not known.
    """

    name: str
    seconds: float
    bytes: Bytes | None = None
    why_no_bytes: str = ""


class Training(Shown, msgspec.Struct, frozen=True):
    """A training step without its optimizer, in the mode and with the flags of the module.

    Attributes:
        forward, backward, step: measured separately, so that the first two need not add up to the third.
        rounds: the rounds of the step; 0 where the times are of single calls.
    """

    forward: Part
    backward: Part
    step: Part
    rounds: int

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """Forward, backward and step."""
        return self.forward, self.backward, self.step

    @property
    def sentence(self) -> str:
        """The time and the bytes of a step."""
        said = (
            f"A training step without its optimizer takes {format.seconds(self.step.seconds)}; measured "
            f"alone, forward and loss {format.seconds(self.forward.seconds)} and backward "
            f"{format.seconds(self.backward.seconds)}."
        )
        kept, held = self.forward.bytes, self.step.bytes
        if kept is not None:
            said += f" Its forward keeps {format.size(kept.retained)} for the backward"
            said += "." if held is None else f"; the step holds {format.size(held.peak)} at its peak."
        return said

    @property
    def table(self) -> Table:
        """A row for every part."""
        rows = [(part.name, format.seconds(part.seconds), *cells(part.bytes)) for part in self.parts]
        notes = ["Times are of single calls: too few calls fit into the time."] if not self.rounds else []
        notes += [
            f"Bytes of the {part.name} are not known: {part.why_no_bytes}."
            for part in self.parts
            if part.why_no_bytes
        ]
        return Table(self.sentence, ("training", "time", *FIGURES), tuple(rows), notes=tuple(notes))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every part, in seconds and bytes; needs pandas."""
        rows = [
            {"name": part.name, "seconds": part.seconds, **(part.bytes.figures if part.bytes else {})}
            for part in self.parts
        ]
        return frame(rows, ("name", "seconds", *FIGURES), ("seconds",), FIGURES)

    def plot(self, axes: Any = None) -> Any:
        """Draw the seconds of every part; as `Comparison.plot`."""
        from gradbench.library.draw import draw_bars

        return draw_bars(axes, [(part.name, part.seconds) for part in self.parts], "time per call")


class ModelReport(msgspec.Struct, frozen=True):
    """The figures of a module.

    Attributes:
        name: of its class.
        evaluation: under every control, compared with recording everything.
        modules: the bytes that every submodule keeps for a backward.
        training: a training step; None without a loss.
        differing: by control, how its values differ from the recorded ones by more than rounding.
    """

    name: str
    evaluation: Comparison
    modules: Modules
    training: Training | None = None
    differing: dict[str, str] = {}

    @property
    def sentence(self) -> str:
        """The results on time, bytes, values and training, in words."""
        said = [f"Evaluating {self.name}: {self.evaluation.sentence}", *self._bytes()]
        alike: dict[str, list[str]] = {}
        for name, difference in self.differing.items():
            alike.setdefault(difference, []).append(name)
        said += [
            f"Compared with recording, {joined(names)} give{'s' * (len(names) == 1)} {difference}."
            for difference, names in alike.items()
        ]
        if self.training is not None:
            said.append(self.training.sentence)
        said += [self.modules.sentence] if self.modules.rows else []
        return " ".join(said)

    def _bytes(self) -> list[str]:
        """The bytes that recording keeps, and the peaks; empty where they are not known."""
        recorded = self.evaluation[self.evaluation.baseline].bytes
        if recorded is None:
            return []
        peaks: dict[int, list[str]] = {}
        for row in self.evaluation.rows:
            if row.bytes is not None and row.verdict != "baseline" and row.bytes.peak != recorded.peak:
                peaks.setdefault(row.bytes.peak, []).append(row.name)
        kept, peak = format.size(recorded.retained), format.size(recorded.peak)
        said = f"Recorded, its result keeps {kept} alive and a call peaks at {peak}"
        others = [f"{joined(names)} at {format.size(peak)}" for peak, names in sorted(peaks.items())]
        return [f"{said}; {', '.join(others)}." if others else f"{said}."]

    @property
    def _tables(self) -> list[Table]:
        tables = [self.evaluation.table, *([self.training.table] if self.training is not None else [])]
        tables += [self.modules.table] if self.modules.rows else []
        first, *others = [msgspec.structs.replace(each, title="") for each in tables]
        return [msgspec.structs.replace(first, title=self.sentence), *others]

    def to_pandas(self) -> Any:
        """A DataFrame of evaluation and training; the column `part` names them. Needs pandas."""
        evaluation = self.evaluation.to_pandas()
        evaluation.insert(0, "part", "evaluation")
        if self.training is None:
            return evaluation
        training = self.training.to_pandas()
        training.insert(0, "part", "training")
        rows = [*evaluation.to_dict("records"), *training.to_dict("records")]
        return frame(rows, evaluation.columns, NUMBERS, FIGURES)

    def plot(self, axes: Any = None) -> Any:
        """Draw the ratios of the evaluation; as `Comparison.plot`."""
        return self.evaluation.plot(axes)

    def __str__(self) -> str:
        return "\n\n".join(each.as_text() for each in self._tables)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return "".join(each.as_html() for each in self._tables)
