"""The prose of documents, of templates, and of the comments, docstrings and messages of code, by passages."""

import ast
import inspect
import io
import json
import re
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from itertools import groupby, pairwise
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt

Line = tuple[int, str]
Passage = list[Line]
"""Lines that belong together, each with its number in the file: a paragraph, a cell, a comment, a message."""

# Between sentences and passages that no other sign separates.
BREAK = "¶"
# Code and values count as one word, and no rule looks into them.
WORD = "`_`"
MARKDOWN = MarkdownIt().enable("table")
JINJA = jinja2.Environment(autoescape=True)

# A comment for a tool is no prose.
TOOLS = re.compile(r"#!|#:?\s*(noqa|type:|ruff:|fmt:|pragma|pytype|mypy:)")
# An example in a docstring, up to the empty line behind it.
EXAMPLE = re.compile(r"^ *>>>.*(?:\n.+)*", re.MULTILINE)
# An argument or an attribute in a docstring.
ENTRY = re.compile(r"\s*\*{0,2}[a-z_]\w*(, \*{0,2}\w+)*: ")
# A message has at least two words; a name, a key or a format has none.
WORDS = re.compile(r"[A-Za-z,;:.]\s+[A-Za-z]+")


def passages(path: Path) -> list[Passage]:
    """The passages of a `.md`, `.py`, `.html` or `.ipynb` file; another suffix raises KeyError."""
    return list(READERS[path.suffix](path.read_text()))


def of_markdown(text: str, line: int = 1) -> Iterator[Passage]:
    """The passages of Markdown whose first line has this number; blocks of code are left out."""
    for block in MARKDOWN.parse(text):
        if block.type != "inline" or block.map is None:
            continue
        words = [""]
        for part in block.children or ():
            if part.type in ("softbreak", "hardbreak"):
                words.append("")
            elif part.type in ("code_inline", "html_inline"):
                words[-1] += WORD
            else:
                words[-1] += part.content
        yield [(line + block.map[0] + index, each) for index, each in enumerate(words)]


def of_python(text: str) -> Iterator[Passage]:
    """The comments, docstrings and messages of Python code."""
    tree = ast.parse(text)
    yield from of_comments(text)
    docstrings = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(words)) as docstring):
                docstrings.add(docstring)
                yield from of_docstring(words, docstring.lineno)
    yield from of_messages(tree, docstrings)


def of_docstring(text: str, line: int) -> Iterator[Passage]:
    """The passages of a docstring; every argument or attribute with its sentences is one."""
    lines = EXAMPLE.sub(lambda example: "\n" * example[0].count("\n"), inspect.cleandoc(text)).split("\n")
    begins = [0, *(index for index, each in enumerate(lines) if ENTRY.match(each)), len(lines)]
    for begin, end in pairwise(begins):
        # The lines of an entry are indented, and no code.
        block = [each.strip() for each in lines[begin:end]] if begin else lines[begin:end]
        if begin:
            # The name of an entry is code.
            block[0] = ENTRY.sub(f"{WORD}: ", block[0])
        yield from of_markdown("\n".join(block), line + begin)


def of_comments(text: str) -> Iterator[Passage]:
    """Comments; those in lines that follow each other, in one column, are one text."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not TOOLS.match(token.string):
            found.append((*token.start, token.string.lstrip("#").removeprefix(" ").rstrip()))
    blocks = groupby(enumerate(found), key=lambda each: (each[1][0] - each[0], each[1][1]))
    for _, block in blocks:
        lines = [comment for _, comment in block]
        yield from of_markdown("\n".join(words for _, _, words in lines), lines[0][0])


def of_messages(tree: ast.AST, docstrings: set[ast.Constant]) -> Iterator[Passage]:
    """Strings with words in them that are no docstring and no code; a value inside one counts as a word."""
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=values):
                words = "".join(
                    str(part.value) if isinstance(part, ast.Constant) else WORD for part in values
                )
                inside.update(part for part in values if isinstance(part, ast.Constant))
                inside.update(
                    spec for part in values for spec in ast.walk(part) if isinstance(spec, ast.JoinedStr)
                )
            case ast.Constant(value=str(words)):
                pass
            case _:
                continue
        if node in docstrings or node in inside or not WORDS.search(words) or is_code(words):
            continue
        # A message is one line, where semicolons separate expected, got, and what to do.
        yield from of_markdown(words.replace("; ", f"; {BREAK} "), node.lineno)


def is_code(words: str) -> bool:
    """Whether this is Python, as a variant is; between lines of code a value may be lines, too."""
    text = inspect.cleandoc(words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for code in (text, text.replace(WORD, "_\n")) if "\n" in text else (text,):
            try:
                ast.parse(code)
            except (SyntaxError, ValueError):
                continue
            return True
    return False


class Page(HTMLParser):
    """The text of a page, cut where a block begins or ends."""

    INLINE = frozenset(
        ("a", "abbr", "b", "em", "i", "kbd", "mark", "small", "span", "strong", "sub", "sup", "time")
    )
    CODE = frozenset(("code", "samp", "pre"))
    SILENT = frozenset(("script", "style"))
    SHOWN = ("title", "aria-label", "alt", "placeholder")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Passage] = [[]]
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line, _ = self.getpos()
        shown = [[(line, value)] for name, value in attrs if name in self.SHOWN and value]
        if shown:
            self.found[-1:-1] = shown
        if tag in self.CODE | self.SILENT:
            self.within.append(tag)
        elif tag not in self.INLINE:
            self.found.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            self.within.remove(tag)
        elif tag not in self.INLINE:
            self.found.append([])

    def handle_data(self, data: str) -> None:
        if self.SILENT & set(self.within):
            return
        line, _ = self.getpos()
        passage = self.found[-1]
        for index, words in enumerate([WORD] if self.within else data.split("\n")):
            if passage and passage[-1][0] == line + index:
                passage[-1] = (line + index, passage[-1][1] + words)
            else:
                passage.append((line + index, words))


def of_template(text: str) -> Iterator[Passage]:
    """The text and the comments of a Jinja template; a value is a word, and `else` begins a passage."""
    parts = []
    for line, kind, value in JINJA.lex(text):
        if kind == "data":
            parts.append(value)
        elif kind == "comment":
            yield [(line + index, words) for index, words in enumerate(value.split("\n"))]
            parts.append("\n" * value.count("\n"))
        else:
            parts.append(WORD if kind == "variable_begin" else "<br>" if is_other(kind, value) else "")
            parts.append("\n" * value.count("\n"))
    page = Page()
    page.feed("".join(parts))
    page.close()
    yield from page.found


def is_other(kind: str, value: str) -> bool:
    """Whether a token of Jinja begins the other case."""
    return kind == "name" and value in ("else", "elif")


def of_notebook(text: str) -> Iterator[Passage]:
    """The cells of a notebook; the number of the cell stands for the line."""
    for number, cell in enumerate(json.loads(text)["cells"], 1):
        read = of_markdown if cell["cell_type"] == "markdown" else of_python
        for passage in read("".join(cell["source"])):
            yield [(number, words) for _, words in passage]


READERS: dict[str, Callable[[str], Iterable[Passage]]] = {
    ".md": of_markdown,
    ".py": of_python,
    ".html": of_template,
    ".ipynb": of_notebook,
}
