"""The tables of the node's parameters, topics and reports, against the node itself."""

from collections.abc import Iterator
import re

from helpers.data import ROOT
from helpers.pages import rows
from helpers.stack import Copy
import pytest
from rclpy.parameter import Parameter

from derain_ros.node.node import DerainNode
from derain_ros.node.parameters import Declared, PARAMETERS
from derain_ros.stream.fates import Counts
from derain_ros.stream.health import Health, Snapshot

README, REFERENCE = ROOT / 'README.md', ROOT / 'docs' / 'node.md'
SUBSCRIBED = ('image_raw', 'camera_info')
READ = {'start': 'at start', 'configure': 'in configure', 'always': 'always'}


@pytest.fixture
def node(ros: None) -> Iterator[DerainNode]:
    """Return a configured node whose engine changes nothing."""
    node = DerainNode(Copy())
    node.trigger_configure()
    yield node
    node.destroy_node()


def default(declared: Declared) -> str:
    if isinstance(declared.default, Parameter.Type):
        return 'not set'
    return f'`{str(declared.default).lower()}`'


def values(declared: Declared) -> str:
    if declared.bounds is not None:
        return ' to '.join(str(bound) for bound in declared.bounds)
    return ', '.join(f'`{choice}`' for choice in declared.choices)


def test_the_readme_has_every_parameter_with_its_default() -> None:
    shown = [(row[0].strip('`'), row[1]) for row in rows(README, 'parameter', 'default')]

    assert shown == [(name, default(declared)) for name, declared in PARAMETERS.items()]


def test_the_reference_has_every_parameter_as_it_is_declared() -> None:
    shown = [(row[0].strip('`'), *row[1:4]) for row in rows(REFERENCE, 'parameter', 'default')]

    assert shown == [
        (name, default(declared), values(declared), READ[declared.read])
        for name, declared in PARAMETERS.items()
    ]


def test_the_reference_has_every_topic_with_its_type(node: DerainNode) -> None:
    of_ros = ('rosout', 'parameter_events', 'transition_event')
    name, namespace = node.get_name(), node.get_namespace()
    published = node.get_publisher_names_and_types_by_node(name, namespace)

    shown = {row[0].strip('`'): row[1] for row in rows(REFERENCE, 'topic', 'type')}

    assert {
        topic.removeprefix('/').replace(f'{name}/', '~/').replace('diagnostics', '/diagnostics'): (
            kinds[0].replace('/msg', '')
        )
        for topic, kinds in published
        if not topic.endswith(of_ros)
    } == {topic: kind for topic, kind in shown.items() if not topic.startswith(SUBSCRIBED)}
    assert list(shown)[:2] == ['image_raw', 'image_raw/compressed']


def test_the_reference_has_every_service_with_its_type(node: DerainNode) -> None:
    offered = node.get_service_names_and_types_by_node(node.get_name(), node.get_namespace())
    of_ros = ('rcl_interfaces/', 'lifecycle_msgs/', 'type_description_interfaces/')

    shown = {row[0].strip('`'): row[1] for row in rows(REFERENCE, 'service', 'type')}

    assert {
        service.replace('/derain/', '~/'): kinds[0].replace('/srv', '')
        for service, kinds in offered
        if not kinds[0].startswith(of_ros)
    } == {service: kind for service, kind in shown.items() if kind != 'lifecycle_msgs'}


def test_the_reference_has_every_value_of_a_report() -> None:
    health = Health()
    report = health.report(Copy(), Snapshot(Counts(), 0, 0.0), lambda _: '')

    (shown,) = re.findall(r'^Values: (.*?)\n\n', REFERENCE.read_text(), re.MULTILINE | re.DOTALL)

    assert 'every fate' in shown
    fates = {row[0].strip('`') for row in rows(REFERENCE, 'fate')}
    assert report.values.keys() - fates <= set(re.findall(r'`(\w+)`', shown))
