"""Training: tasks, data, callbacks and the command line. The only package that imports Lightning."""
