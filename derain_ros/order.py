"""The channel order of a frame."""

from typing import Literal

Order = Literal['bgr', 'rgb']
