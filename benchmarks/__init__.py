"""The asv suite: gradbench's own cells and measurements, followed from commit to commit.

`interleaved` is what regressions are judged by; `alone` is asv's own timing, for a second look.
"""
