"""Links of the documents as a built page needs them: they are written for readers of the repository."""

import os
import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent

# The documents in the root, and the pages that include them.
INCLUDED = {
    "METHODOLOGY.md": "method.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^][]*\])*)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")
# In HTML, as a picture in light and dark has it.
TAKEN = re.compile(r'\b(src|srcset|href)="(?:\.\./)?reports/')


def relink(text: str, folder: Path, reports: str) -> str:
    """The text of a document in `folder` with its links as a page of `docs/` has them.

    Published pages are under the address `reports`. A link to a file that is no page becomes plain
    text, since a build does not know where the sources are published.
    """

    def linked(found: re.Match[str]) -> str:
        picture, target, fragment = found[1], found[3], found[4] or ""
        # The words of a link may be a picture.
        words = LINK.sub(linked, found[2])
        path = Path(os.path.relpath((folder / target).resolve(), ROOT))
        if picture:
            return f"![{words}]({os.path.relpath(ROOT / path, HERE)})"
        if path.parts[0] == "reports":
            scheme = "reports-at" if fragment else "reports"
            return f"[{words}]({scheme}:{path.relative_to('reports').as_posix()}{fragment})"
        if path.as_posix() in INCLUDED:
            return f"[{words}]({INCLUDED[path.as_posix()]}{fragment})"
        if path.parts[0] == "docs":
            return f"[{words}]({path.relative_to('docs').as_posix()}{fragment})"
        return words

    return TAKEN.sub(rf'\1="{reports}/', LINK.sub(linked, text))
