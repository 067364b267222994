"""`s2s test`: score a checkpoint on the test set."""

SUMMARY = "score a checkpoint on the test set"


def main(argv: list[str]) -> int:
    """Run `s2s test`."""
    from s2s.commands.training import run

    return run("test", argv)
