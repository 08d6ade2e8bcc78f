"""Pictures for people: a page with before/after sliders, and a contact sheet."""

from collections.abc import Mapping
from html import escape
import math
from pathlib import Path
from string import Template
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derain_ros.media.pictures import fit

TEMPLATES = Path(__file__).with_name('templates')
CELL_PX = (320, 320)


Shot = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]


def write_report(
    folder: Path,
    shots: list[Shot],
    summary: str = '',
    clips: Mapping[str, str] = MappingProxyType({}),
    ending: str = '',
) -> None:
    """
    Write ``index.html``, the images it shows, and ``contact_sheet.jpg``.

    :param shots: name, rainy and de-rained image, the latter two uint8 RGB [H, W, 3].
    :param summary: HTML that stands before the images.
    :param clips: of ``ClipWriter`` in the folder: file to what it is called.
    :param ending: HTML that stands after the images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, figure, clip = (_template(name) for name in ('gallery.html', 'figure.html', 'clip.html'))
    figures = [
        clip.substitute(file=escape(file), name=escape(called)) for file, called in clips.items()
    ]
    for index, (name, rainy, output) in enumerate(shots):
        files = {'before': f'{index:04}_before.jpg', 'after': f'{index:04}_after.jpg'}
        for file, image in zip(files.values(), (rainy, output)):
            Image.fromarray(image).save(folder / file, quality=92)
        figures.append(figure.substitute(files, name=escape(name)))
    text = page.substitute(figures='\n'.join(figures), summary=summary, ending=ending)
    # names of files need not be UTF-8
    (folder / 'index.html').write_text(text, encoding='utf-8', errors='backslashreplace')
    if shots:
        _write_sheet(folder / 'contact_sheet.jpg', shots)


def _write_sheet(path: Path, shots: list[Shot]) -> None:
    cells = [np.hstack([fit(rainy, CELL_PX), fit(output, CELL_PX)]) for _, rainy, output in shots]
    # columns, because no side of a JPEG exceeds 65535 pixels
    columns = math.ceil(math.sqrt(len(cells)) / 2)
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    Image.fromarray(np.vstack(rows)).save(path, quality=90)


def _template(name: str) -> Template:
    return Template((TEMPLATES / name).read_text(encoding='utf-8'))
