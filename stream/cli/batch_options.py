"""Options of archives: what makes one, and which go together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stream.declared_option import OptionValues
from stream.errors import ConfigError
from stream.media.sinks.file_sink import FORMATS
from stream.option_table import CLUSTER, CLUSTER_CPUS, CLUSTER_GPUS, JOBS, OUTPUT
from stream.recordings.batch.discovery import names_several


def is_archive(inputs: Sequence[str], outputs: Sequence[str]) -> bool:
    """Whether many recordings are meant, or one that goes into a folder."""
    into_folder = len(outputs) == 1 and (
        outputs[0].endswith(("/", os.sep)) or os.path.isdir(outputs[0])
    )
    return len(inputs) > 1 or into_folder or any(names_several(one) for one in inputs)


def check(given: OptionValues) -> Path:
    """Whether the options go together.

    Returns: the folder of the outputs.
    Raises:  ConfigError: an option is missing or does not apply to an archive.
    """
    outputs = given[OUTPUT]
    if len(outputs) != 1:
        raise ConfigError("an archive has one --output, a folder")
    output = Path(outputs[0])
    if output.suffix.lower() in FORMATS and not os.path.isdir(output):
        raise ConfigError(f"--output {output} names one recording; several need a folder")
    if given.has(CLUSTER) and given.has(JOBS):
        raise ConfigError("--jobs is for this machine; a cluster takes what --cluster-cpus allows")
    if not given.has(CLUSTER) and (given.has(CLUSTER_CPUS) or given.has(CLUSTER_GPUS)):
        raise ConfigError("--cluster-cpus and --cluster-gpus need --cluster")
    return output
