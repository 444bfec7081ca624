"""The table of a run as text: comma-separated values, and one JSON object a line."""

from typing import BinaryIO

import msgspec
import pyarrow as pa
from pyarrow import csv

BATCH = 1 << 16


def write_csv(found: pa.Table, file: BinaryIO) -> None:
    """Write a table with a line of names first; a value that is not there is empty."""
    csv.write_csv(found, file)


def write_json(found: pa.Table, file: BinaryIO) -> None:
    """Write an object a row; a value that is not there is null."""
    encoder = msgspec.json.Encoder()
    file.writelines(encoder.encode_lines(batch.to_pylist()) for batch in found.to_batches(BATCH))
