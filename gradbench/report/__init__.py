"""What a results file shows, for readers: pages, figures, tables on a terminal, and exports."""

import logging

# Where its cache cannot be written matplotlib says so twice as it is imported, and draws all the same.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
