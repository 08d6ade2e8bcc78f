"""Pictures fitted into panels."""

import numpy as np
import pytest

from derain_ros.media.pictures import fit


@pytest.mark.parametrize(
    ('shape', 'rows', 'columns'),
    [
        ((40, 80), slice(30, 70), slice(0, 80)),  # as it is
        ((80, 160), slice(30, 70), slice(0, 80)),  # scaled down
        ((20, 40), slice(30, 70), slice(0, 80)),  # scaled up
        ((200, 20), slice(0, 100), slice(35, 45)),
        ((1, 1000), slice(49, 50), slice(0, 80)),  # never thinner than a pixel
    ],
)
def test_an_image_is_centred_in_its_shape_on_black(shape, rows, columns):
    image = np.full((*shape, 3), (10, 20, 30), np.uint8)
    panel = fit(image, (80, 100))
    expected = np.zeros((100, 80, 3), np.uint8)
    expected[rows, columns] = (10, 20, 30)
    np.testing.assert_array_equal(panel, expected)
