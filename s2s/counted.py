"""A number with its noun, in the singular or plural."""


def counted(number: int, one: str, several: str | None = None) -> str:
    """Such as "1 line", "2 lines", "1,000 batches".

    Args:
        number: how many there are.
        one: the singular.
        several: the plural; None: the singular with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
