"""Pictures for people: a page with before/after sliders, and a contact sheet."""

from html import escape
import math
from pathlib import Path

import numpy as np
from PIL import Image

from derain_ros.media.pictures import fit

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Before and after</title>
<style>
  body { font: 15px sans-serif; margin: 2em auto; max-width: 60em; background: #222; color: #ddd }
  figure { margin: 0 0 2em }
  .images { position: relative }
  .images img { display: block; width: 100% }
  .images img + img { position: absolute; top: 0; clip-path: inset(0 0 0 var(--split, 50%)) }
  input { width: 100%; margin: .5em 0 }
</style>
<h1>Before and after</h1>
<p>Left of the slider the rainy image, right of it the de-rained one.</p>
FIGURES
<script>
  for (const slider of document.querySelectorAll('input')) {
    slider.oninput = () =>
      slider.parentElement.style.setProperty('--split', slider.value + '%');
  }
</script>
</html>
"""
FIGURE = """<figure>
  <div class="images"><img src="{before}" alt="rainy"><img src="{after}" alt="de-rained"></div>
  <input type="range" value="50" aria-label="split"><figcaption>{name}</figcaption>
</figure>"""
CELL = 320


def write_report(folder: Path, shots: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """
    Write ``index.html``, the images it shows, and ``contact_sheet.jpg``.

    :param shots: name, rainy and de-rained image, the latter two uint8 RGB [H, W, 3].
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for index, (name, rainy, output) in enumerate(shots):
        files = {'before': f'{index:04}_before.jpg', 'after': f'{index:04}_after.jpg'}
        for file, image in zip(files.values(), (rainy, output)):
            Image.fromarray(image).save(folder / file, quality=92)
        figures.append(FIGURE.format(name=escape(name), **files))
    (folder / 'index.html').write_text(PAGE.replace('FIGURES', '\n'.join(figures)))
    cells = [np.hstack([fit(image, (CELL, CELL)) for image in shot[1:]]) for shot in shots]
    # columns, because no side of a JPEG exceeds 65535 pixels
    columns = math.ceil(math.sqrt(len(cells)) / 2)
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    Image.fromarray(np.vstack(rows)).save(folder / 'contact_sheet.jpg', quality=90)
