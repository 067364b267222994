"""`s2s validate`: score a checkpoint on the validation set."""

SUMMARY = "score a checkpoint on the validation set"


def main(argv: list[str]) -> int:
    """Run `s2s validate`."""
    from s2s.commands.training import run

    return run("validate", argv)
