"""The released models that tests run."""

import pytest

from derain_ros.model.released import released_names

MODELS_BUILT = ['fast', 'fast-light', 'fast-heavy', 'reference-light']


def require(model: str) -> str:
    """Return the name of a model, or skip the test where it is not released."""
    if model not in released_names():
        pytest.skip(f'model not released: {model}')
    return model
