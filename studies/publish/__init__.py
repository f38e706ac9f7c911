"""Publishing a run: its report, its results, the index of reports, and the table in the README."""
