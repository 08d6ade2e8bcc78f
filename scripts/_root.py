"""Imported first by the scripts of this folder: makes the repository importable."""

from pathlib import Path
import site

site.addsitedir(str(Path(__file__).resolve().parents[1]))
