"""A plugin of s2s: the PART_KIND MyPart."""

from s2s.registry import hookimpl


@hookimpl
def PART_HOOK() -> dict[str, str]:
    """What configurations write -> where the class is.

    s2s asks at each start, so this file imports nothing heavy; the class is imported when it is named.
    """
    return {"MyPart": "my_part.PART_KIND:MyPart"}
