"""JSON that others have written."""

import json
from typing import Any


def parsed(text: str | bytes) -> Any:
    """What a text says as JSON.

    Raises:
        ValueError: it is no JSON, or nested deeper than Python can follow.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
