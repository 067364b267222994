"""Bridges from encoder states to decoder states."""
