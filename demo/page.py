"""The demo's page: before and after, what the node did, and what to try next."""

from html import escape
from pathlib import Path

from derain_ros.media.gallery import Shot, write_report

PAGE, SHEET = 'index.html', 'contact_sheet.jpg'
ENDING = """
<h2>Next</h2>
<p>Your own rain, from a photograph, a folder of images, a video or a rosbag (ROS 1 or 2):</p>
<pre>make demo INPUT=drive.mp4
make demo INPUT=drive_bag TOPIC=/camera/front/image_raw</pre>
<p>Whole recordings, every frame of them, without ROS (<code>docs/offline.md</code>):</p>
<pre>.venv/bin/python -m derain_ros.offline drive.mp4 clean.mp4</pre>
<p>The node in your driving stack: <code>README.md</code>, then <code>docs/node.md</code>.</p>
"""
# of the report: key, and what people call it
FIGURES = {
    'frames_sent': 'frames sent',
    'frames_received': 'frames that came back',
    'frames_replaced': 'replaced by a newer frame while they waited',
    'frames_passed_through': 'passed through unchanged',
    'frames_lost': 'lost on their way',
    'fps': 'frames per second',
    'psnr_before': 'PSNR of the rainy frames (RGB, dB)',
    'psnr_after': 'PSNR of the de-rained frames (RGB, dB)',
}


def write_page(out: Path, report: dict, shots: list[Shot], video: str | None) -> None:
    """
    Write ``index.html`` and the images it shows, to be opened from disk.

    :param report: as it is written to ``report.json``.
    :param shots: name, rainy and de-rained image, the latter two uint8 RGB [H, W, 3].
    :param video: side by side, beside the page; None if there is none.
    """
    run = (
        f'<p>{escape(report["source"])}, published as a camera would, through a ROS 2 node of '
        f'derain_ros {report["version"]}: model <code>{escape(report["model"])}</code> on '
        f'{report["engine"]} ({report["precision"]}).</p>'
    )
    clips = {video: report['source']} if video else {}
    write_report(out, shots, f'{run}\n{_table(report)}', clips, ENDING)


def _table(report: dict) -> str:
    figures = {title: report[key] for key, title in FIGURES.items()}
    figures |= {
        f'latency from stamp to arrival, {name} (ms)': value
        for name, value in report['latency_ms'].items()
    }
    rows = [
        f'<tr><th>{escape(title)}</th><td>{value}</td></tr>'
        for title, value in figures.items()
        if value is not None
    ]
    return '<table>\n' + '\n'.join(rows) + '\n</table>'
