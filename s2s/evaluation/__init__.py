"""Scores of outputs against references; every score carries its signature."""
