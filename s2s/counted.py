"""A number and what it counts, as a person says it."""


def counted(number: int, one: str, several: str | None = None) -> str:
    """Such as "1 line", "2 lines", "1,000 batches".

    Args:
        number: of things.
        one: what one of them is called.
        several: what several are called; None is the same with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
