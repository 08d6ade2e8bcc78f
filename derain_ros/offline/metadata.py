"""What rosbag2 says of a recording, in ``metadata.yaml`` and again inside its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

INFORMATION = 'rosbag2_bagfile_information'


def with_topics_beside(
    text: str, names: Mapping[str, str], counts: Mapping[str, Mapping[str, int]]
) -> str:
    """
    Return metadata with the topics that stand beside the original ones.

    :param text: YAML.
    :param names: topic to the name of its de-rained one, which may be its own.
    :param counts: of the messages of each topic, by name of the file.
    :returns: YAML; the text itself where nothing stands beside, or where it is none of rosbag2's.
    """
    beside = {topic: name for topic, name in names.items() if name != topic}
    metadata: Any = yaml.safe_load(text) if beside else None
    if not isinstance(metadata, dict):
        return text
    about = metadata.get(INFORMATION, metadata)
    topics = about.get('topics_with_message_count') or []
    for entry in list(topics):
        name = beside.get(entry['topic_metadata']['name'])
        if name is not None:
            details = {**entry['topic_metadata'], 'name': name}
            topics.append({**entry, 'topic_metadata': details})
            about['message_count'] += entry['message_count']
    for file in about.get('files') or []:
        found = counts.get(Path(file['path']).name, {})
        file['message_count'] += sum(found.get(topic, 0) for topic in beside)
    dumped: str = yaml.safe_dump(metadata, sort_keys=False)
    return dumped
