"""A plugin of s2s: the PART_KIND MyPart."""

from s2s.registry import hookimpl


@hookimpl
def PART_HOOK() -> dict[str, str]:
    """Name in configurations -> location of the class.

    s2s calls this at each start, so keep imports here light; the class is imported when it is used.
    """
    return {"MyPart": "my_part.PART_KIND:MyPart"}
