"""Real rain from folders of photographs."""

from pathlib import Path

import numpy as np

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, read_image
from training.data.pairs import number


class Photographs:
    """The images of a folder, each uint8 RGB [H, W, 3], decoded when asked for."""

    def __init__(self, folder: Path, smallest: int, held_out: range) -> None:
        """
        Read every file once, so that a broken one is named now and not hours later.

        :param smallest: width and height that each must have.
        :param held_out: files of these numbers are left out, as the pairs of these numbers are.
        :raises DataError: the folder is missing or empty, or all of it held out; an image is
            broken or too small.
        """
        self._paths = [path for path in image_files(folder) if number(path) not in held_out]
        if not self._paths:
            raise DataError(
                f'{folder}: every file is numbered within validation; rename or add '
                'some, or change validation'
            )
        for path in self._paths:
            if min(read_image(path).shape[:2]) < smallest:
                raise DataError(
                    f'{path}: smaller than the crop of {smallest}; take it out, or '
                    'train on smaller crops'
                )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return read_image(self._paths[index])
