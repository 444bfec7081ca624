"""Runs that are over go to Parquet, are read back and compared, and may then be taken out of the store."""

from hashlib import sha256
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from station.custody import durable_file
from station.datalog import parquet
from station.datalog.store import Store
from station.errors import StorageError


class Archived(Struct, frozen=True):
    """What was kept of a run: enough to know that it is all there."""

    lot: str
    run: int
    rows: int
    file: str
    sha256: str
    pruned: bool


def archived(store: Store, run: int, folder: Path, *, prune: bool) -> Archived:
    """Write a finished run to `folder/lot=…/run=…/`, verify it, and prune it if asked.

    Only a run that the plant has been told of is pruned; its events, bins, limits and summaries stay. A
    file that is there, after a crash or from before, must hold the run.
    """
    state = store.state(run)
    if state.finished is None:
        raise StorageError(f"{store.path}: run {run} of lot {state.lot} is not finished")
    told = all(reference.partition("/")[0] != str(run) for _, _, reference in store.pending())
    if prune and not told:
        raise StorageError(f"{store.path}: run {run} waits for the plant: hardbin store sync")
    path = folder / f"lot={state.lot}" / f"run={run}" / "results.parquet"
    said = path.with_name("archive.json")
    if said.exists() and not prune:
        raise StorageError(f"{path}: the file exists, it is not overwritten")
    measured = parquet.table(store, run)
    if not path.exists():
        parquet.export(store, run, path)
    if not _holds(path, measured):
        raise StorageError(f"{path}: it is not what the store has of run {run}; nothing was pruned")
    digest = sha256(path.read_bytes()).hexdigest()
    found = Archived(state.lot, run, measured.num_rows, path.name, digest, prune)
    durable_file.replace(said, msgspec.json.encode(found) + b"\n")
    if prune:
        store.prune(run)
    return found


def _holds(path: Path, measured: pa.Table) -> bool:
    try:
        return bool(pq.read_table(path, partitioning=None).equals(measured))
    except (OSError, pa.ArrowInvalid):
        return False
