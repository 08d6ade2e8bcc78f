"""Compressed messages that are no pictures, in thousands, and the pictures between them."""

from array import array
import random
import struct
import time
import zlib

import cv2
from helpers.stack import Stack
import numpy as np
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

FORMATS = [
    *('bgr8; jpeg compressed bgr8', 'mono8; jpeg compressed mono8', 'bgr8; png compressed bgr8'),
    *('bayer_rggb8; jpeg compressed bayer_rggb8', '16UC1; compressedDepth png'),
    *('jpeg', 'jpg', 'png', '', 'gif', 'bgr8; jpeg', '; ; ;', 'é' * 300),
]


def picture() -> np.ndarray:
    """Return a picture that JPEG keeps well, uint8 BGR [48, 64, 3]."""
    rows, columns = np.mgrid[0:48, 0:64]
    return np.dstack([80 + rows, 60 + columns, 90 + (rows + columns) // 2]).astype(np.uint8)


JPEG = cv2.imencode('.jpg', picture())[1].tobytes()
PNG = cv2.imencode('.png', picture())[1].tobytes()


def png_of(width: int, height: int) -> bytes:
    """Return the beginning of a PNG that claims to be so large."""
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    check = struct.pack('>I', zlib.crc32(header))
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header + check


def malformed(rng: random.Random) -> CompressedImage:
    """Return a message of a random format, whose data are cut, damaged, or no picture at all."""
    data = bytearray(rng.choice([JPEG, PNG]))
    kind = rng.randrange(5)
    if kind == 0:
        del data[rng.randrange(len(data)) :]
    elif kind == 1:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        data = bytearray(rng.randbytes(rng.randrange(300)))
    elif kind == 3:
        size = rng.choice([(0, 5), (1, 1), (20_000, 3), (60_000, 60_000), (2**31, 2**31)])
        data[:] = png_of(*size) + PNG[33:]
    else:
        at = rng.randrange(len(data))
        data[at:at] = rng.randbytes(rng.randrange(50))
    return CompressedImage(format=rng.choice(FORMATS), data=array('B', data))


def test_ten_thousand_malformed_messages_harm_no_picture_between_them(stack: Stack, start_with):
    process = start_with(
        'out[:] = frames ^ 1', '-p', 'deadline:=20.0', '-p', 'image_transport:=compressed'
    )
    camera = stack.create_publisher(
        CompressedImage, 'image_raw/compressed', qos_profile_sensor_data
    )
    valid = CompressedImage(format='bgr8; jpeg compressed bgr8', data=array('B', JPEG))
    expected = cv2.imdecode(np.frombuffer(JPEG, np.uint8), cv2.IMREAD_COLOR) ^ 1

    def came_back() -> bool:
        return any(message.header == valid.header for message in stack.received)

    def sent_until_it_comes() -> bool:
        camera.publish(valid)
        return came_back()

    rng = random.Random(0)
    for number in range(10_000):
        camera.publish(malformed(rng))
        time.sleep(0.001)  # of a flood the node would see the newest only
        if number % 50 == 0:
            valid.header.stamp.sec = 1 + number
            stack.until(sent_until_it_comes)
            came = next(one for one in stack.received if one.header == valid.header)
            assert np.array_equal(np.frombuffer(came.data, np.uint8), expected.ravel())
            stack.received.clear()
    counted = stack.counts_after(lambda counts: counts['derained'] >= 200)
    assert counted['dropped'] + counted['passed_through'] > 500
    assert process.poll() is None
    assert 'Traceback' not in process.log.read_text()
