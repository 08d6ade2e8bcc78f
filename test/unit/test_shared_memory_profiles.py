"""The shared-memory profiles: an image that fits into a segment fits into a queue as well."""

import xml.etree.ElementTree as ElementTree

from helpers.data import ROOT
import pytest

NAMESPACE = '{http://www.eprosima.com}'
FRAGMENT_BYTES = 65500  # of Fast DDS, where there is UDP too


@pytest.mark.parametrize(
    'profile, megapixels', [('fastdds_shm.xml', 12.2), ('fastdds_shm_large.xml', 33.2)]
)
def test_an_image_fits_into_the_segment_and_into_the_queue(profile: str, megapixels: float):
    transports = {
        transport.findtext(f'{NAMESPACE}type'): transport
        for transport in ElementTree.parse(ROOT / 'config' / profile).iter()
        if transport.tag == f'{NAMESPACE}transport_descriptor'
    }
    shared = transports['SHM']

    segment_bytes = int(shared.findtext(f'{NAMESPACE}segment_size', '0'))
    fragments = int(shared.findtext(f'{NAMESPACE}port_queue_capacity', '512'))

    assert segment_bytes > 3 * megapixels * 1e6
    assert fragments * FRAGMENT_BYTES > segment_bytes
    assert 'UDPv4' in transports, 'other machines are reached too'
