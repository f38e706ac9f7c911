"""The claims of the guide, a file for every section."""

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
