"""Is B slower than A? Two interpreters, or two revisions, measured in turn on one processor."""
