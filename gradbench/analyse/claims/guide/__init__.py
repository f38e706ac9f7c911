"""The claims of the guide, in a file for each of its sections."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.guide import (
    characteristics,
    implementations,
    implications,
    memory,
    practices,
    time,
)

CLAIMS: tuple[Claim, ...] = (
    *time.CLAIMS,
    *memory.CLAIMS,
    *implications.CLAIMS,
    *characteristics.CLAIMS,
    *practices.CLAIMS,
    *implementations.CLAIMS,
)
