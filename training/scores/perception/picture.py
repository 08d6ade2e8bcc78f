"""A picture of what the judges see, for people."""

import cv2
import numpy as np

from training.scores.perception.arms import Judges

BOX, AREA = (255, 220, 0), (0, 160, 90)  # RGB
LANE = (235, 60, 40)
COLOURS = {'drivable area': AREA, 'lanes': LANE}
SHARE = 0.4  # of an area's colour over the image
TITLE_PX = 28


def picture(images: dict[str, np.ndarray], judges: Judges) -> np.ndarray:
    """
    Draw what the judges see in each image, side by side under its title.

    :param images: by title, uint8 RGB [H, W, 3] of one size.
    :returns: uint8 RGB [H + TITLE_PX, N W, 3].
    """
    return np.hstack([_panel(title, image, judges) for title, image in images.items()])


def _panel(title: str, image: np.ndarray, judges: Judges) -> np.ndarray:
    seen, drawn = judges.see(image), image.copy()
    height, width = image.shape[:2]
    for name, mask in seen.areas.items():
        mask = cv2.resize(mask.astype(np.uint8), (width, height)) > 0
        colour = np.array(COLOURS.get(name, AREA))
        drawn[mask] = np.rint((1 - SHARE) * drawn[mask] + SHARE * colour).astype(np.uint8)
    objects = seen.objects.sure(judges.least_score)
    for box, name in zip(objects.boxes.round().astype(int).tolist(), objects.classes):
        cv2.rectangle(drawn, tuple(box[:2]), tuple(box[2:]), BOX, 2)
        _write(drawn, name, (box[0], max(box[1] - 4, 12)), 0.5, BOX)
    framed = cv2.copyMakeBorder(drawn, TITLE_PX, 0, 0, 0, cv2.BORDER_CONSTANT)
    _write(framed, title, (8, TITLE_PX - 8), 0.7, (255, 255, 255))
    return framed


def _write(
    image: np.ndarray, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]
) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
