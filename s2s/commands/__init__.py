"""One module per sub-command: `SUMMARY`, one line for `s2s --help`, and `main(argv) -> int`."""
