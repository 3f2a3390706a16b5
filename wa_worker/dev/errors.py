"""What `wa-worker dev` says no to."""


class CannotStartError(Exception):
    """The folder or a port cannot be had; the text says what to do."""


class CannotDoError(Exception):
    """What a person asks for is not possible just now; the text says why."""
