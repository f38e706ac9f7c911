"""From a user's versions to a plan that compares them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gradbench.define.dtypes import EPSILON
from gradbench.define.metrics import measured_metrics
from gradbench.define.planner import compose
from gradbench.define.user_model import ALLOWED, model_in_words, seeded, x_in_words
from gradbench.define.workloads import versions as own
from gradbench.define.workloads.workload import Workload
from gradbench.errors import RequestError
from gradbench.record.plan import Comparison, Plan, Request, Variant, full_name
from gradbench.record.versions import FileText, VersionFacts, VersionsFacts

# The names of variants that every comparison has beside the versions.
TAKEN = ("twin", "twin_own_buffer", "empty")


def plan_versions(files: Sequence[FileText], facts: VersionsFacts, request: Request) -> Plan:
    """The plan for versions, the most important part first: evaluation, recorded forward, training step.

    With several files every file is a version. With one file every entry of its `variants` is one. The plan
    leaves out a part that not every version has, with the reason. Raises RequestError where no part is left.
    """
    several = len(files) > 1
    versions = [_version(each, several) for each in facts.versions]
    # A colon separates the title of a workload from that of its part.
    title = " and ".join(each.name for each in files).replace(":", "_")
    coarsest = max((each.coarsest for each in facts.versions), key=lambda name: EPSILON[name])
    evaluation, recorded, step = own.rows(
        title,
        versions,
        all(each.repeats for each in facts.versions),
        facts.x_requires_grad,
        ALLOWED[coarsest] / EPSILON[request.dtype],
    )
    texts = tuple(FileText(each.name, seeded(each.text, request.seed)) for each in files)
    shape = facts.versions[0].shape
    comparisons: list[Comparison] = []
    skipped: dict[str, str] = {}
    for row, why in (
        (
            evaluation,
            "; ".join(f"{each.name}: {each.unevaluated}" for each in facts.versions if each.unevaluated),
        ),
        (recorded, _without_records(facts.versions)),
        (step, _without_records(facts.versions) or _without_loss(facts.versions)),
    ):
        if why:
            skipped[full_name(row.name, row.part)] = why
        else:
            comparisons.append(_comparison(row, texts, shape, request))
    if not comparisons:
        reasons = "; ".join(f"{part}: {why}" for part, why in skipped.items())
        raise RequestError(f"nothing to compare: {reasons}")
    if not any(each.trains for each in facts.versions):
        # The file defines no loss: the user did not ask for training.
        skipped.pop(full_name(step.name, step.part), None)
    return Plan(tuple(comparisons), skipped, metrics=measured_metrics())


def _version(facts: VersionFacts, several: bool) -> own.Version:
    return own.Version(
        name=facts.name,
        subject="model" if several else f"variants[{facts.name!r}]",
        module=facts.module,
        calls=facts.calls,
        facts=f"{model_in_words(facts) if facts.module else 'a function'}; {x_in_words(facts)}",
    )


def _comparison(
    row: Workload, texts: tuple[FileText, ...], shape: tuple[int, ...], request: Request
) -> Comparison:
    several = len(texts) > 1
    comparison = compose(row, shape, request, "" if several else texts[0].text)
    if not several:
        return replace(comparison, alike=False)

    def read(variant: Variant) -> Variant:
        if variant.role == "empty":
            return variant
        return replace(variant, file=variant.name if variant.role == "method" else row.baseline)

    return replace(comparison, variants=tuple(map(read, comparison.variants)), files=texts, alike=False)


def _without_records(versions: Sequence[VersionFacts]) -> str:
    lacking = [each.name for each in versions if not each.records]
    return f"the result of {', '.join(lacking)} requires no gradients" if lacking else ""


def _without_loss(versions: Sequence[VersionFacts]) -> str:
    lacking = [each.name for each in versions if not each.trains]
    return f"{', '.join(lacking)} defines no loss(y), which a training step of all needs" if lacking else ""
