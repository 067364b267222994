"""Measures how far back a recurrent cell remembers: gradients by distance, and problems that need memory.

Plain torch, no Lightning. `diagnosis.diagnose` runs everything; `report` and `plot` present the results.
"""
