"""What the demo makes of what came back: a bag read again, pictures, and a report."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from camera import Flight
import cv2
import numpy as np
from page import PAGE, SHEET, write_page
from pictures import write_video
from sources import Shot, Source
from tqdm import tqdm

import derain_ros
from derain_ros.files import write_json
from derain_ros.media.bags import BagReader, in_order, index_bag

BAG, VIDEO, REPORT = 'derained_bag', 'demo.mp4', 'report.json'
# so many frames are on the page
SHOWN = 4
PICTURES = [f'{index:04}_{state}.jpg' for index in range(SHOWN) for state in ('before', 'after')]
PRODUCTS = [PAGE, SHEET, *PICTURES, VIDEO, BAG, REPORT]


def before_after(
    source: Source, flight: Flight, bag: Path
) -> Iterator[tuple[int, Shot, np.ndarray]]:
    """
    Match what was sent with what the bag holds, by stamp.

    :returns: number from 1, what was sent, and what came back, uint8 BGR [H, W, 3].
    """
    with TemporaryDirectory(prefix='derain_demo_') as scratch:
        index = index_bag(bag, Path(scratch))
        places = {int(place['stamp_ns']): place for place in index.places}
        with BagReader(index) as reader:
            for number, (stamp, shot) in enumerate(zip(flight.sent, source.shots()), start=1):
                if stamp in flight.arrived:
                    yield number, shot, in_order(reader.read(places[flight.arrived[stamp]]), 'bgr')


def write_results(source: Source, flight: Flight, out: Path) -> dict:
    """Write page, pictures and report into a folder; return the report."""
    scores, shots = [], []
    arrived = len(flight.arrived)
    parts = min(SHOWN, arrived)
    # the frame in the middle of each of as many equal parts
    shown = {arrived * (2 * part + 1) // (2 * parts) for part in range(parts)}

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for index, (number, shot, after) in enumerate(before_after(source, flight, out / BAG)):
            if shot.clean is not None:
                scores.append((cv2.PSNR(shot.image, shot.clean), cv2.PSNR(after, shot.clean)))
            if index in shown:
                rainy, derained = (image[..., ::-1].copy() for image in (shot.image, after))
                shots.append((f'{source.name}, frame {number}', rainy, derained))
            yield shot.image, after

    bar = tqdm(pairs(), total=len(flight.arrived), unit='frame', mininterval=1, desc='pictures')
    video = None if source.count == 1 else VIDEO  # of a photograph there is none
    if video:
        write_video(bar, source.rate_hz or 2.0, out / video)
    else:
        list(bar)
    result = report(source, flight, scores)
    write_page(out, result, shots, video)
    write_json(out / REPORT, result)
    return result


def report(source: Source, flight: Flight, scores: list[tuple[float, float]]) -> dict:
    """Sum up: counts, latency from header stamp to arrival, rate, and PSNR (RGB, in dB)."""
    latency = np.array([arrival - stamp for stamp, arrival in flight.arrived.items()]) / 1e6
    arrivals = sorted(flight.arrived.values())
    replaced = flight.count('replaced')
    before, after = np.mean(scores, axis=0).round(2).tolist() if scores else (None, None)
    return {
        'source': source.name,
        'version': derain_ros.__version__,
        'model': flight.model,
        'frames_sent': len(flight.sent),
        'frames_received': len(flight.arrived),
        'frames_replaced': replaced,
        'frames_passed_through': flight.count('passed_through'),
        'frames_lost': len(flight.sent) - len(flight.arrived) - replaced,
        'latency_ms': {f'p{q}': round(float(np.percentile(latency, q)), 1) for q in (50, 95, 99)},
        'fps': round((len(arrivals) - 1) * 1e9 / (arrivals[-1] - arrivals[0]), 2)
        if len(arrivals) > 1
        else None,
        'psnr_before': before,
        'psnr_after': after,
        'engine': flight.engine,
        'precision': flight.precision,
    }


def print_table(result: dict, out: Path) -> None:
    """Print a report, and where everything lies."""
    flat = {key: value for key, value in result.items() if not isinstance(value, dict)}
    flat |= {f'latency_ms {key}': value for key, value in result['latency_ms'].items()}
    width = max(map(len, flat))
    for key, value in flat.items():
        print(f'  {key:<{width}}  {"-" if value is None else value}')
    there = [str(out / name) for name in (VIDEO, BAG, REPORT) if (out / name).exists()]
    print(f'\nOpen {(out / PAGE).resolve().as_uri()}\nThere are also {", ".join(there)}')
