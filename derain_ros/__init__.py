"""
Takes the rain out of camera images.

    import cv2
    from derain_ros import Derainer

    with Derainer('fast') as derain:
        cv2.imwrite('clean.png', derain(cv2.imread('rainy.png')))

Importing it loads neither OpenCV, OpenVINO, PyTorch nor ROS.
"""

from derain_ros._derainer import Derainer
from derain_ros._version import __version__
from derain_ros.errors import (
    DataError,
    DeadlineError,
    DerainError,
    EngineError,
    ImageError,
    ModelError,
)

__all__ = [
    'DataError',
    'DeadlineError',
    'DerainError',
    'Derainer',
    'EngineError',
    'ImageError',
    'ModelError',
    '__version__',
]
