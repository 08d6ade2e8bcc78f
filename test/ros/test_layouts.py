"""What shows the node at work: layouts of RViz and Foxglove, groups of the aggregator."""

import json
from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticStatus
from helpers.data import ROOT
import pytest
import yaml

from derain_ros.node import signals
from derain_ros.node.diagnostics import status
from derain_ros.stream.health import Level, Report

TOPICS = ['/image_raw', '/image_derained']


def reported(node: str, camera: str, topic: str = '/image_raw') -> DiagnosticStatus:
    named = SimpleNamespace(get_fully_qualified_name=lambda: node)
    return status(named, camera, topic, Report(Level.OK, 'de-raining', {}))


@pytest.mark.parametrize(
    'node, camera',
    [('/derain', ''), ('/derain', 'front'), ('/left/derain', ''), ('/derain_l', '')],
)
def test_the_aggregator_groups_every_report(node, camera):
    settings = yaml.safe_load((ROOT / 'config' / 'diagnostic_aggregator.yaml').read_text())
    group = settings['/**']['ros__parameters']['deraining']

    assert group['type'] == 'diagnostic_aggregator/GenericAnalyzer'
    assert any(part in reported(node, camera).name for part in group['contains'])


def test_rviz_shows_raw_beside_derained():
    layout = yaml.safe_load((ROOT / 'config' / 'derain.rviz').read_text())
    displays = layout['Visualization Manager']['Displays']

    assert [display['Topic']['Value'] for display in displays] == TOPICS
    assert {display['Class'] for display in displays} == {'rviz_default_plugins/Image'}
    # the camera may publish best effort, which a reliable subscription would not fit
    assert {display['Topic']['Reliability Policy'] for display in displays} == {'Best Effort'}


def panels(layout: dict | str) -> list[str]:
    """Return the panels of a Foxglove layout, from left to right and from top to bottom."""
    if isinstance(layout, str):
        return [layout]
    return panels(layout['first']) + panels(layout['second'])


def test_foxglove_shows_raw_beside_derained_the_diagnostics_and_signals():
    written = json.loads((ROOT / 'config' / 'derain_foxglove.json').read_text())
    settings, shown = written['configById'], panels(written['layout'])

    assert sorted(shown) == sorted(settings)
    assert [settings[panel]['imageMode']['imageTopic'] for panel in shown[:2]] == TOPICS
    selected = settings['DiagnosticStatusPanel!derain']
    report = reported('/derain', '')
    assert selected['selectedName'] == report.name
    assert selected['selectedHardwareId'] == report.hardware_id
    plotted = {path['value'] for path in settings['Plot!signals']['paths']}
    assert plotted <= {f'/derain/{topic}.data' for topic in signals.TOPICS}
