"""What is shipped and how it is used: bundles and the translator. Imports no Lightning."""
