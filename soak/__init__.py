"""Attacks on what s2s promises: killed, starved of disk, fed with garbage, shared, kept alive for hours.

`make soak` runs the long form and writes docs/reliability.md; tests/system/soak runs the first attempts of each attack.
"""
