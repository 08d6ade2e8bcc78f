"""Bags as other recorders write them."""

import contextlib
from pathlib import Path
import sqlite3


def forget_definitions(database: Path) -> None:
    """Make an SQLite bag as Humble records it: it does not say what its messages hold."""
    with contextlib.closing(sqlite3.connect(database)) as bag:
        bag.execute('DROP TABLE message_definitions')
        bag.execute('UPDATE schema SET schema_version = 3')
        bag.commit()
