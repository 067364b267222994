"""What the tests hold s2s against: formulas of the papers in NumPy, and parts that look like none of ours."""
