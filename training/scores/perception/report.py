"""The result for people, as Markdown tables, and for programs, as JSON."""

from collections.abc import Callable, Sequence
import math

from training.scores.perception.cases import ArmScore, Case, Count
from training.scores.perception.ratios import Ratio

ARMS = ('raw', 'de-rained', 'gated', 'clean')
Cell = Callable[[ArmScore], str]
HEAD = """# What judges see through `{weights}`

`training/evaluate_perception.py` wrote this page; `docs/evaluation.md` says how and what it means.
Without labels, what is known is what the same judge sees in the clean frame, so that clean frames
score 1 by definition. F1 counts objects from a score of {score:g} on, found at an IoU of 0.5. mAP
is COCO's, over IoU 0.5 to 0.95, and counts rare classes like common ones. Sizes are COCO's, by the
area of the box. In brackets are 95 % intervals: bootstrap over frames, which in a video are alike,
so that they are rather too narrow.
"""


def markdown(
    weights: str, cases: Sequence[Case], counts: Sequence[Count], least_score: float
) -> str:
    """Return a page with a table for each kind of score."""
    parts = [HEAD.format(weights=weights, score=least_score)]
    parts += _case_tables(cases) if cases else []
    return '\n'.join(parts + ([_count_table(counts)] if counts else []))


def _case_tables(cases: Sequence[Case]) -> list[str]:
    cells: dict[str, Cell] = {
        'F1 of objects': lambda arm: _with_interval(
            arm.detections.f1['all'].value, arm.detections.f1['all'].interval
        ),
        'Objects found rightly, of all found': lambda arm: (
            f'{arm.detections.correct} of {arm.detections.found}'
        ),
        'mAP of objects': lambda arm: _with_interval(
            arm.detections.mean_precision, arm.detections.interval
        ),
        'F1 of small / medium / large objects': lambda arm: ' / '.join(
            _number(arm.detections.f1[size].value) for size in ('small', 'medium', 'large')
        ),
    }
    areas = cases[0].arms['raw'].areas
    cells |= {f'IoU of {area}': _iou_cell(area) for area in areas}
    return [_gain_table(cases), *(_table(title, cases, cell) for title, cell in cells.items())]


def _iou_cell(area: str) -> Cell:
    def cell(arm: ArmScore) -> str:
        ratio = arm.areas.get(area)
        return '–' if ratio is None else _with_interval(ratio.value, ratio.interval)

    return cell


def _table(title: str, cases: Sequence[Case], cell: Cell) -> str:
    lines = [f'## {title}', '', '| frames | rain | ' + ' | '.join(ARMS) + ' |']
    lines.append('|---' * (2 + len(ARMS)) + '|')
    for case in cases:
        cells = [cell(case.arms[arm]) if arm in case.arms else '–' for arm in ARMS]
        lines.append(f'| {case.frames} | {case.rain} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _gain_table(cases: Sequence[Case]) -> str:
    lines = [
        '## What is gained over raw frames, F1 of objects',
        '',
        '| frames | rain | count | objects | de-rained | gated | passed by the gate |',
        '|---' * 7 + '|',
    ]
    for case in cases:
        raw = case.arms['raw'].detections
        gains = [
            _gain(case.arms[arm].detections.f1['all'], raw.f1['all'])
            for arm in ('de-rained', 'gated')
        ]
        lines.append(
            f'| {case.frames} | {case.rain} | {case.count} | {raw.known} | {" | ".join(gains)} '
            f'| {case.passed:.0%} |'
        )
    return '\n'.join(lines) + '\n'


def _count_table(counts: Sequence[Count]) -> str:
    areas = list(counts[0].areas['raw'])
    lines = [
        '## Real rain without truth: what is seen per frame; more need not be better',
        '',
        '| ' + ' | '.join(['frames', 'count', 'arm', 'objects', *areas]) + ' |',
        '|---' * (4 + len(areas)) + '|',
    ]
    for count in counts:
        for arm, objects in count.objects.items():
            shares = ''.join(f' {count.areas[arm][area]:.1%} |' for area in areas)
            lines.append(f'| {count.frames} | {count.count} | {arm} | {objects:.2f} |{shares}')
    return '\n'.join(lines) + '\n'


def _number(value: float) -> str:
    return '–' if math.isnan(value) else f'{value:.2f}'


def _with_interval(value: float, bounds: tuple[float, float]) -> str:
    return f'{_number(value)} ({_number(bounds[0])} to {_number(bounds[1])})'


def _gain(one: Ratio, other: Ratio) -> str:
    low, high = one.gain_over(other)
    return f'{_signed(one.value - other.value)} ({_signed(low)} to {_signed(high)})'


def _signed(value: float) -> str:
    return f'{round(value, 2) + 0.0:+.2f}'  # 0 is not negative


def to_json(cases: Sequence[Case], counts: Sequence[Count]) -> dict:
    """Return the result as --json writes it; null is what cannot be said."""
    return {
        'cases': [
            {
                'frames': case.frames,
                'rain': case.rain,
                'count': case.count,
                'passed': case.passed,
                'arms': {name: _arm(arm, case.arms['raw']) for name, arm in case.arms.items()},
            }
            for case in cases
        ],
        'real': [
            {
                'frames': count.frames,
                'count': count.count,
                'passed': count.passed,
                'objects': count.objects,
                'areas': count.areas,
            }
            for count in counts
        ],
    }


def _arm(arm: ArmScore, raw: ArmScore) -> dict:
    detections, f1_raw = arm.detections, raw.detections.f1['all']
    return {
        'known': detections.known,
        'found': detections.found,
        'correct': detections.correct,
        'f1': {size: _ratio(ratio) for size, ratio in detections.f1.items()},
        'f1_gain_interval': _bounds(detections.f1['all'].gain_over(f1_raw)),
        'map': _finite(detections.mean_precision),
        'map_50': _finite(detections.mean_precision_50),
        'map_interval': _bounds(detections.interval),
        'iou': {area: _ratio(ratio) for area, ratio in arm.areas.items()},
    }


def _ratio(ratio: Ratio) -> dict:
    return {'value': _finite(ratio.value), 'interval': _bounds(ratio.interval)}


def _bounds(bounds: tuple[float, float]) -> list[float | None]:
    return [_finite(bound) for bound in bounds]


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
