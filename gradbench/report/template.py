"""Make a page from a template, and write it to its place."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from gradbench import format
from gradbench.errors import RequestError
from gradbench.report.palette import DARK, LIGHT


@dataclass(frozen=True)
class Link:
    """An entry of a site's navigation: its words, its address, and whether that is the page itself."""

    label: str
    href: str
    current: bool = False


def render(template: str, *folders: Path, site: Sequence[Link] = (), **values: Any) -> str:
    """A page from a template in one of the folders, or in the report's folder; markup in values is escaped.

    A page that extends base.html gets the common style, and the navigation of its site where it has one.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [*map(jinja2.FileSystemLoader, folders), jinja2.PackageLoader("gradbench.report", ".")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["web"] = web
    environment.filters["coded"] = coded
    # Macros in a separate file see globals and no values.
    environment.globals["format"] = format
    css = environment.get_template("page.css").render(light=LIGHT, dark=DARK)
    return environment.get_template(template).render(css=css, site=site, **values)


def coded(text: str) -> Markup:
    """The text, escaped, with the words between backticks as code.

    >>> coded("go on with `a < b`")
    Markup('go on with <code>a &lt; b</code>')
    """
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def web(address: str) -> str:
    """The address, where a page may link to it; empty for an address that is not on the web."""
    return address if address.startswith(("https://", "http://")) else ""


def way(results: Path, output: Path | None) -> str | None:
    """The link from a page at `output` to its results; None where there is none, as between two drives."""
    if output is None:
        return quote(results.name)
    try:
        return quote(Path(os.path.relpath(results.resolve(), output.resolve().parent)).as_posix())
    except ValueError:
        return None


def put(text: str, output: Path) -> None:
    """Write a page, or leave the old one unchanged. Raises RequestError where it cannot be written."""
    beside = output.with_name(output.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(output)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise RequestError(f"{output}: cannot be written: {error.strerror}") from None
        raise
