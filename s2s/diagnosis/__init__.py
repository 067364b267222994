"""How far a recurrent cell remembers: gradients against distance, and problems that need a memory.

Plain torch, no Lightning. `diagnosis.diagnose` does it all; `report` and `plot` tell of it.
"""
