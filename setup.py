from glob import glob
import xml.etree.ElementTree as ElementTree

from setuptools import find_packages, setup

package_name = 'derain_ros'
package = ElementTree.parse('package.xml')

setup(
    name=package_name,
    version=package.findtext('version'),
    packages=find_packages(include=['derain_ros', 'derain_ros.*']),
    package_data={
        # of the released models the one for a car; the others are in the repository
        package_name: [
            'models/fast.onnx',
            'models/SHA256SUMS',
            'media/templates/*',
            'py.typed',
        ]
    },
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/' + package_name]),
        ('share/' + package_name, ['package.xml']),
        ('share/' + package_name + '/launch', glob('launch/*.launch.py')),
        ('share/' + package_name + '/config', glob('config/*')),
    ],
    python_requires='>=3.10',
    install_requires=['setuptools'],
    extras_require={'test': ['pytest']},  # else colcon test runs none of the tests
    zip_safe=False,
    maintainer='derain_ros maintainers',
    maintainer_email='maintainers@derain-ros.example',
    description=package.findtext('description'),
    license=package.findtext('license'),
    entry_points={
        'console_scripts': [
            'derain = derain_ros.offline.__main__:main',
            'derain-fleet = derain_ros.fleet.__main__:main',
            'build_engine = derain_ros.build_engine:main',
            'derain_node = derain_ros.node.__main__:main',
        ]
    },
)
