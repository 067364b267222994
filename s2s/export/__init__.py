"""Writing bundles for runtimes that need no torch."""
