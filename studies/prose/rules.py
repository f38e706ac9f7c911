"""The rules for our words, as checks of proselint: one table of phrases, and two rules on whole sentences."""

import re
from collections.abc import Iterator

from proselint.checks import __register__ as of_proselint
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckFlags, CheckResult, Padding
from proselint.registry.checks.engine import Fancy
from proselint.registry.checks.types import Existence
from proselint.tools import LintFile

from studies.prose.passages import BREAK, Passage

LONGEST = 25
"""Words in a sentence."""

# A phrase, as a regular expression between word boundaries, and what to write in its place.
PHRASES = {
    r"(is|are|was|were|be|been) (told|said)": "name who acts: the report shows",
    r"what (is|are|was|were) (told|said|shown|asked)": "name the thing: the figures, the verdict",
    r"(is|are|was|were|be) asked of": "name who asks: the run asks the device",
    r"(tell|tells|told|telling) apart": "tied, or: no difference is measurable",
    r"(tell|tells) of": "describe, report",
    r"held against": "compared with",
    r"(stand|stands|stood) (in|at|on|among|beside|here|there|after|before|by)": "is",
    r"is had": "comes from",
    r"each with what": "name it: each claim with its figures",
    r"each (is|has|that|which)": "name it: each variant is, every pass that",
    r"own[.,;:)]": "name it: a separate process, the user's own file",
    r"dearer|dearest": "slower, or: more expensive",
    r"whatever|whichever|whoever": "any, every, or name it",
    r"fed": "given, passed",
    r"for want of": "because there is no",
    r"by itself alone": "alone",
    r"anew": "again",
    r"hence|thus|thereby|thereof|therein|whereby|wherein|whereof|upon|lest|albeit": "so, by it, on",
}

# "1 pass", "2 passes".
PLURAL = r"\w+\(e?s\)"

# A sentence that begins so has no subject that acts.
OPENINGS = ("What", "Of", "Those", "Who", "Whoever", "Whatever")

# Of proselint's checks those that suit a text with code and figures in it.
CHOSEN = (
    "archaism",
    "cliches",
    "hedging",
    "industrial_language",
    "lexical_illusions",
    "malapropisms",
    "misc.greylist",
    "misc.illogic",
    "mixed_metaphors",
    "mondegreens",
    "needless_variants",
    "nonwords",
    "oxymorons",
    "redundancy",
    "skunked_terms",
    "uncomparables",
    "weasel_words",
)

# Between passages, so that neither a phrase nor a sentence goes on in the next one.
BETWEEN: Passage = [(0, ""), (0, BREAK), (0, "")]
END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)[\"')]*\s+(?=[\"'(`\w])|\s*" + BREAK + r"\s*")


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a text, each with the index that it begins at."""
    begin = 0
    for end in [*END.finditer(text), None]:
        sentence = text[begin : end.start() if end else len(text)]
        if sentence.strip():
            yield begin + len(sentence) - len(sentence.lstrip()), sentence.strip()
        begin = end.end() if end else begin


def words(sentence: str) -> int:
    """How many words a sentence has; code and values count as one, and signs as none."""
    return sum(any(sign.isalnum() or sign == "_" for sign in word) for word in sentence.split())


def long_sentences(text: str, check: Check) -> Iterator[CheckResult]:
    """Sentences with too many words."""
    for begin, sentence in sentences(text):
        if words(sentence) > LONGEST:
            message = check.message.format(words(sentence))
            yield CheckResult(check.path, message, (begin, begin + len(sentence)), None)


def openings(text: str, check: Check) -> Iterator[CheckResult]:
    """Sentences, no questions, that begin with a word that hides the subject."""
    for begin, sentence in sentences(text):
        first = sentence.split()[0]
        if first in OPENINGS and not sentence.endswith("?"):
            yield CheckResult(check.path, check.message.format(first), (begin, begin + len(first)), None)


def bounded(phrase: str) -> str:
    """A phrase of the table as a regular expression: of whole words, also over the end of a line."""
    end = r"\b" if phrase[-1] in ")" or phrase[-1].isalnum() else ""
    return rf"\b(?:{phrase}){end}".replace(" ", r"\s")


# proselint passes over quotations; our rules hold there too. Who must write such a phrase sets it as code.
QUOTED = CheckFlags(allow_quotes=True)
OURS = (
    *(
        Check(
            Existence((bounded(phrase),), Padding.RAW), Fancy(), f"ours.{number}", f"write: {instead}", QUOTED
        )
        for number, (phrase, instead) in enumerate(PHRASES.items())
    ),
    Check(Existence((PLURAL,), Padding.RAW), Fancy(), "ours.plural", "write: 1 pass, 2 passes", QUOTED),
    Check(
        long_sentences,
        path="ours.length",
        message=f"a sentence of {{}} words; write at most {LONGEST}",
        flags=QUOTED,
    ),
    Check(openings, path="ours.opening", message='begin with the subject, not with "{}"', flags=QUOTED),
)


def faults(found: list[Passage]) -> Iterator[tuple[int, str, str]]:
    """What breaks a rule in the passages of a file: the line, the words there, and what to write instead."""
    registry = CheckRegistry()
    if OURS[0] not in registry.checks:
        registry.register_many((*OURS, *of_proselint))
    flat: list[tuple[int, str]] = []
    for passage in found:
        flat += [*passage, *BETWEEN]
    text = "\n".join(words for _, words in flat)
    if not text:
        return
    file = LintFile("prose", text)
    for result in file.lint({"max_errors": 1_000_000, "checks": dict.fromkeys(("ours", *CHOSEN), True)}):
        begin, end = result.check_result.span
        # proselint puts an empty line before the text.
        yield (
            flat[file.content.count("\n", 0, begin) - 1][0],
            file.content[begin:end],
            " ".join(result.check_result.message.split()),
        )
