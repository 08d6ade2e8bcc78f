from glob import glob

from setuptools import find_packages, setup

package_name = 'derain_ros'

setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(include=['derain_ros', 'derain_ros.*']),
    package_data={package_name: ['models/*', 'media/templates/*', 'py.typed']},
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
    description='Removes rain from camera images, '
    'between the camera drivers and the driving stack.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'derain = derain_ros.offline.__main__:main',
            'derain-fleet = derain_ros.fleet.__main__:main',
            'build_engine = derain_ros.build_engine:main',
            'derain_node = derain_ros.node.__main__:main',
        ]
    },
)
