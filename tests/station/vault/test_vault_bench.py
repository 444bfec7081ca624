"""The bench of the vault: real dies, a real vault, and the floor of the same run."""

import pytest
from click.testing import CliRunner
from msgspec import json

from station.cli.bench import bench
from station.errors import CustodyError
from station.surroundings import simulated_cards
from station.vault.bench import measured, operations
from station.vault.kinds import MLDSA65, MLKEM768, P384


def test_the_bench_names_its_conditions_beside_its_figures() -> None:
    done = CliRunner().invoke(
        bench, ["vault", "--devices", "4", "--sites", "2", "--payload", "4096", "--json"]
    )
    assert done.exit_code == 0, done.output
    told = json.decode(done.output)
    assert (told["devices"], told["sites"], told["latency"], told["payload"]) == (4, 2, "zero", 4096)
    assert told["chips_per_hour"] > 0
    assert told["vault_over_crypto"] == pytest.approx(
        told["vault_cpu_ms_per_die"] / told["crypto_cpu_ms_per_die"]
    )
    assert told["exchange_p50_ms"] <= told["exchange_p99_ms"]


def test_a_die_that_is_not_sealed_ends_the_bench() -> None:
    (card,) = simulated_cards(1, payload=1024, latency="zero")
    with pytest.raises(CustodyError, match="was not sealed"):
        measured([card, card], 1)


def test_the_floor_has_every_operation_of_every_key() -> None:
    assert len(operations((MLDSA65,))) == 4 + 3
    assert len(operations((P384, MLDSA65, MLKEM768))) == 4 + 9
