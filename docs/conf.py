"""
The site as Sphinx builds it, alone or within rosdoc2.

    sphinx-build -W -n docs build/docs
"""

from pathlib import Path
import sys

# autodoc imports the package; rosdoc2 has its own path
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

project = 'derain_ros'
author = 'derain_ros maintainers'
project_copyright = f'{author}, Apache-2.0'

# all of them are what rosdoc2 installs
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx_rtd_theme']
html_theme = 'sphinx_rtd_theme'
html_static_path = ['_static']
html_css_files = ['tables.css']
exclude_patterns = ['index.rst']  # rosdoc2 makes one beside ours

myst_heading_anchors = 3
autodoc_member_order = 'bysource'
# other projects' pages are not looked up, so that the build needs no network
nitpick_ignore_regex = [
    ('py:.*', r'(np|numpy|pathlib|types|collections|typing|threading)\..*'),
]
