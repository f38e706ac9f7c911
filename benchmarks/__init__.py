"""The asv suite: cells and measurements of gradbench, followed from commit to commit.

`interleaved` has the figures that judge regressions; `alone` has asv's timing, for a second look.
"""
