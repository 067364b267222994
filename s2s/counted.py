"""A number and what it counts, as a person says it."""


def counted(number: int, thing: str) -> str:
    """Such as "1 line", "2 lines", "1,000 batches".

    Args:
        number: of things.
        thing: in the singular; its plural ends with s.
    """
    ending = "" if number == 1 else "es" if thing.endswith(("ch", "s")) else "s"
    return f"{number:,} {thing}{ending}"
