"""The errors of the package, one family: ``DerainError`` catches all of them."""


class DerainError(Exception):
    """What went wrong; the message names the input, the reason and the way out."""


class ImageError(DerainError):
    """An image message that cannot be converted."""


class DataError(DerainError):
    """A file, folder or bag that cannot be used."""


class ModelError(DerainError):
    """A model that cannot be used."""


class EngineError(DerainError):
    """The engine gave no result. What it was to write is undefined."""


class DeadlineError(EngineError):
    """The result was not there in time."""


def quoted(text: str, longest: int = 60) -> str:
    """
    Return text from outside, such as an encoding, as a message can show it.

    In quotes, with control characters escaped and long text cut: so nobody can write lines of
    their own into a log, or fill it.

    :param longest: characters that are shown.
    """
    if len(text) > longest:
        text = text[:longest] + '...'
    return repr(text)
