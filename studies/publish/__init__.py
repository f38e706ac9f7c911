"""Publishing a run: its report, its results, the index of reports, and the headline of the README."""
