"""The page of a trial: is B slower than A?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradbench import format
from gradbench.analyse.memory_difference import in_words, smaller
from gradbench.report.drawing import COLOURS, PAGE, style, svg
from gradbench.report.figures import Row, draw_rows, rows_figure
from gradbench.report.snippet import snippet
from gradbench.report.template import Link, put, render, way
from gradbench.versus import text
from gradbench.versus.judge import INSTALLATION, LOOKS, Judged, VariantOutcome
from gradbench.versus.records import NAMES


def write_versus(judged: Judged, output: Path, site: Sequence[Link] = ()) -> None:
    """Write the page, with the navigation of the site that it is part of, if any.

    Raises RequestError where it cannot be written.
    """
    groups: dict[str, list[VariantOutcome]] = {}
    for each in judged.variants:
        groups.setdefault(each.comparison.id, []).append(each)
    page = render(
        "versus.html",
        Path(__file__).parent,
        site=site,
        judged=judged,
        header=judged.trial.header,
        sides=list(zip(NAMES, judged.trial.header.sides, strict=True)),
        groups=[
            {"comparison": variants[0].comparison, "variants": variants, "figure": _figure(variants, judged)}
            for variants in groups.values()
        ],
        text=text,
        in_words=in_words,
        smaller=smaller,
        snippet=snippet,
        looks=LOOKS,
        installation=INSTALLATION,
        results_name=judged.trial.path.name,
        results_href=way(judged.trial.path, None),
        described=_in_words,
    )
    put(page, output)


def _in_words(variants: Sequence[VariantOutcome]) -> str:
    return "B ÷ A: " + "; ".join(
        f"{each.variant.name} {format.ratio_with_ends(each.ratio)}, {each.outcome}" for each in variants
    )


def _figure(variants: Sequence[VariantOutcome], judged: Judged) -> str:
    """One comparison: each variant's ratio of B to A with its interval; the band is the margin."""
    rows = [
        Row(
            each.variant.name,
            each.ratio,
            COLOURS.get(each.outcome, COLOURS["same"]),
            each.outcome in ("slower", "faster"),
        )
        for each in variants
        if each.ratio is not None
    ]
    margin = judged.trial.header.options.margin
    band, sight = ((1 / (1 + reach), 1 + reach) for reach in (margin, 1.5 * margin))
    with style():
        figure = rows_figure(len(rows))
        draw_rows(figure.add_subplot(), rows, band, "time of B ÷ time of A", PAGE, sight)
        return svg(figure, variants[0].comparison.id)
