"""A function of the small project that the twin's tests deploy."""


def handler(event: object, context: object) -> object:
    """Answer with what came in."""
    return event
