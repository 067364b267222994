"""Stress tests ("attacks") of what s2s promises: killed, out of disk space, given garbage, shared, run for hours.

`make soak` runs the long form and writes docs/reliability.md; tests/system/soak runs the first attempts of each attack.
"""
