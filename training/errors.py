"""The errors of training; scripts end with their message and status 2."""

from derain_ros.errors import DerainError


class ConfigError(DerainError):
    """An experiment that cannot run; the message names the key, the reason and the way out."""


class GateError(DerainError):
    """Weights that are not to be released; the message says what they fail at."""


class RunError(DerainError):
    """A run that cannot start or go on; the message says why, and what to do."""
