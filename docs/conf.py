"""How Sphinx builds these pages (`make docs`)."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]

from docutils import nodes  # noqa: E402
from links import relink  # noqa: E402

import gradbench  # noqa: E402

project = "gradbench"
author = "the gradbench contributors"
project_copyright = author
release = version = gradbench.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "gradbench"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_copy_source = False
html_show_sphinx = False

# The published reports, seen from a page: in a checkout, or on a site that has these pages in docs/.
REPORTS = os.environ.get("REPORTS", "../../../reports")

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
# A link to a published page is a plain address: Sphinx would copy the page.
myst_url_schemes = {
    "http": None,
    "https": None,
    "mailto": None,
    "reports": {"url": f"{REPORTS}/{{{{path}}}}"},
    "reports-at": {"url": f"{REPORTS}/{{{{path}}}}#{{{{fragment}}}}"},
}

# A build needs no torch.
autodoc_mock_imports = ["torch"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
# A name in backticks, as docstrings have it.
default_role = "code"
napoleon_use_ivar = True
napoleon_google_docstring = True
# A build without a network cannot look up the types of other packages. It asks for those types of ours that a
# reader of the API or of a results file meets.
OURS = r"gradbench\.(library|guard|record|extension|errors|pytest_plugin)\b"
nitpick_ignore_regex = [("py:.*", rf"(?!{OURS}).*")]

# A property of a record may be annotated with a name that two classes have.
suppress_warnings = ["ref.python"]


def setup(app: object) -> None:
    """Rewrite links as a page, or a document that it includes, is read; and name the tables that stack."""

    def page(app, name, source):
        source[0] = relink(source[0], HERE, REPORTS)

    def included(app, path, name, source):
        source[0] = relink(source[0], (HERE / path).parent.resolve(), REPORTS)

    def stacked(app, doctree, name):
        if name == "recipes":
            for table in doctree.findall(nodes.table):
                table["classes"].append("stacked")

    app.connect("doctree-resolved", stacked)
    app.connect("source-read", page)
    app.connect("include-read", included)
