"""The version, which package.xml says."""

from importlib.metadata import version
from pathlib import Path
import xml.etree.ElementTree as ElementTree

# beside the package in a checkout; an installation has it in its metadata
PACKAGE = Path(__file__).parents[1] / 'package.xml'

__version__ = (
    str(ElementTree.parse(PACKAGE).findtext('version'))
    if PACKAGE.exists()
    else version('derain_ros')
)
