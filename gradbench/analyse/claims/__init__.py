"""Claims about gradient control, and their verdicts: from a results file alone, without torch.

To add a claim, add a row to `guide` or `folklore`: its sentence, its source, and its question.
Everything else reads `claims()`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from gradbench.analyse.claims import folklore, guide
from gradbench.analyse.claims.case import Case
from gradbench.analyse.claims.claim import VERDICTS, Claim, Judgement, counted, judge_claim
from gradbench.analyse.model import RunSummary
from gradbench.errors import RequestError
from gradbench.extension import distinct, extended

CLAIMS: tuple[Claim, ...] = (*guide.CLAIMS, *folklore.CLAIMS)

__all__ = ["CLAIMS", "VERDICTS", "Case", "Claim", "Judgement", "claims", "counted", "judge_claim", "verdicts"]


def claims() -> tuple[Claim, ...]:
    """The claims of gradbench and of extensions. Raises RequestError for a faulty extension."""
    return distinct("claims", extended("claims", CLAIMS, lambda claim: claim.id), lambda claim: claim.id)


def verdicts(summary: RunSummary, ids: Sequence[str] = ()) -> list[Judgement]:
    """The verdicts on the claims of these ids, or on all claims: for every device where there are several.

    A claim about observations has one verdict. Raises RequestError for an unknown id.
    """
    rows = claims()
    known = {claim.id for claim in rows}
    for each in ids:
        if each not in known:
            near = difflib.get_close_matches(each, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise RequestError(
                f"--id {each}: expected the id of a claim; `gradbench claims RUN --verbose` lists them{hint}"
            )
    found: list[Judgement] = []
    for claim in rows:
        if ids and claim.id not in ids:
            continue
        if claim.workloads and summary.by_device:
            found.extend(
                replace(judge_claim(claim, there), device=device)
                for device, there in summary.by_device.items()
            )
        else:
            found.append(judge_claim(claim, summary))
    return found
