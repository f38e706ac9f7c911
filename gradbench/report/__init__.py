"""Results for readers: pages, figures, tables on a terminal, and exports."""

import logging

# Without a writable cache matplotlib warns twice at its import, and draws nevertheless.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
