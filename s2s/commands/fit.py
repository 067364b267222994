"""`s2s fit`: train a model."""

SUMMARY = "train a model"


def main(argv: list[str]) -> int:
    """Run `s2s fit`."""
    from s2s.commands.training import run

    return run("fit", argv)
