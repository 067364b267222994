"""Translating with what `s2s export` wrote: numpy and onnxruntime alone, no torch."""
