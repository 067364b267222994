"""Translation with exported models (`s2s export`): only numpy and onnxruntime, no torch."""
