"""The bench of the vault: real dies, a real vault, and the floor of the same run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import json

from station.cli.bench import bench
from station.errors import CustodyError
from station.surroundings import simulated_cards
from station.vault import bench as running_bench
from station.vault.bench import side_by_side
from station.vault.bench_dies import Done
from station.vault.bench_dies import bench as running
from station.vault.crypto_bound import operations
from station.vault.die.kinds import MLDSA65, MLKEM768, P384

SMALL = ["--devices", "4", "--sites", "2", "--latency", "zero", "--payload", "4096", "--torn", "6"]


def test_the_bench_names_its_conditions_beside_its_figures() -> None:
    done = CliRunner().invoke(bench, ["vault", *SMALL, "--json"])
    assert done.exit_code == 0, done.output
    told = json.decode(done.output)
    assert (told["devices"], told["sites"], told["latency"], told["payload"]) == (4, 2, "zero", 4096)
    assert (told["leaked_sessions"], told["leaked_files"]) == (0, 0)
    assert told["dies_per_s_core"] == pytest.approx(1e3 / (told["vault_cpu_ms"] + told["key_store_cpu_ms"]))
    assert told["vault_over_crypto"] == pytest.approx(
        told["crypto_bound_per_s_core"] / told["dies_per_s_core"]
    )
    assert told["chips_per_hour"] == pytest.approx(3600 * told["dies_per_s_2_sites"])
    assert told["endorsement_p99_ms"] > 0
    assert told["endorsement_seen_p99_ms"] > 0
    assert told["endorsement_together_p99_ms"] > 0
    assert "of_sites_over_die_time" not in told, "dies without latency take no time"
    assert told["ledger_events_per_s"] > 0
    alone_ms = sum(row["times"] * row["ms"] for row in told["operations"])
    assert alone_ms == pytest.approx(1e3 / told["crypto_bound_per_s_core"])


def test_a_die_that_is_not_sealed_ends_the_bench() -> None:
    (card,) = simulated_cards(range(1), payload=1024, latency="zero")
    with running() as vault, pytest.raises(CustodyError, match="was not sealed"):
        side_by_side(vault, [card, card], 1, 0.0)


def test_dies_a_second_are_counted_while_every_site_has_one() -> None:
    """Two sites that begin 2 s apart and take 4 s a die: 2 dies in the 4 s from 2 to 6, not 4 in all 10."""
    done = [Done(began, began + 4.0, 4.0, ()) for began in (0.0, 2.0, 4.0, 6.0)]
    assert running_bench._rate(done, 2) == 2 / 4.0
    assert running_bench._rate(done[:3], 2) == 3 / 8.0, "too few for every site to have had one"


def test_files_of_a_process_that_shows_none_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key store lets nobody look into it but root."""
    own, shut, real = os.getpid(), 999_999_999, Path.iterdir
    monkeypatch.setattr(running_bench, "family", lambda pid: (pid, shut))

    def listed(path: Path) -> Iterator[Path]:
        if str(shut) in path.parts:
            raise PermissionError(13, "shut")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", listed)
    assert 0 < running_bench._files(own) < 10_000


def test_the_floor_has_every_operation_of_every_key() -> None:
    assert len(operations((MLDSA65,))) == 4 + 3
    assert len(operations((P384, MLDSA65, MLKEM768))) == 4 + 9
