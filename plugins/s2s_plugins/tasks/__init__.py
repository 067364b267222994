"""Tasks: pairs of a Lightning module and a Lightning data module."""
