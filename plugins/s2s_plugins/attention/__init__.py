"""Attentions."""
