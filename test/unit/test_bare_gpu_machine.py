"""The tests of the GPU run on a machine that has neither ROS, rosbags nor OpenVINO."""

import subprocess
import sys

from helpers.data import ROOT

BARE = """
import sys
sys.modules |= dict.fromkeys(
    ['rclpy', 'sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'rosbags', 'openvino', 'PIL', 'mcap',
     'skimage', 'onnxruntime', 'yaml', 'matplotlib', 'tensorboard', 'skvideo', 'launch_ros']
)
import pytest
sys.exit(pytest.main(['test/gpu', '-q', '-p', 'no:cacheprovider']))
"""


def test_the_tests_of_the_gpu_need_nothing_that_is_not_there():
    done = subprocess.run([sys.executable, '-c', BARE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' passed' in done.stdout
