"""Each model runs in a whole simulated lot: which test does it, and which file puts the model into a cell."""

import ast
from importlib.metadata import entry_points
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SIM, EXAMPLES = HERE.parents[1] / "sim", HERE.parents[1] / "sequences" / "example"
A_LOT = "test_lot.py::test_every_device_is_tested_and_accounted_for"
PROBER = "test_probers.py::test_a_lot_by_each_prober"
HANDLER = "test_handlers.py::test_a_lot_ends_with_each_device_in_its_bin"
INSTRUMENTS = "test_instruments.py::test_a_lot_is_judged_the_same_whoever_made_the_instruments"
BENCH = "test_bench_instruments.py::test_a_lot_on_the_bench"
BESIDE = "test_cell_io.py::test_each_device_has_its_code_its_path_and_a_green_tower"
USED: dict[str, tuple[str, Path]] = {
    "accretech_uf": (PROBER, HERE / "probers" / "accretech_uf.toml"),
    "binon": (A_LOT, SIM / "station.toml"),
    "cascade_nucleus": (PROBER, HERE / "probers" / "cascade_nucleus.toml"),
    "ccid": (A_LOT, SIM / "station.toml"),
    "ers_ac3": (
        "test_bench_instruments.py::test_a_bench_with_an_ers_chuck",
        HERE / "test_bench_instruments.py",
    ),
    "exatron": ("test_load_board.py::test_a_register_on_spi_in_each_mode", HERE / "test_load_board.py"),
    "formfactor_velox": (PROBER, HERE / "probers" / "formfactor_velox.toml"),
    "ftdi_mpsse": (BESIDE, HERE / "test_cell_io.py"),
    "gem": (HANDLER, HERE / "handlers" / "gem.toml"),
    "geringer_pto92ut": (HANDLER, HERE / "handlers" / "geringer_pto92ut.toml"),
    "intest_thermostream": (BENCH, EXAMPLES / "bench.toml"),
    "keithley_2450": (A_LOT, SIM / "station.toml"),
    "keithley_2600b": (A_LOT, SIM / "station.toml"),
    "keithley_707b": (BENCH, EXAMPLES / "bench.toml"),
    "keyboard": (BESIDE, HERE / "cell_io.toml"),
    "keysight_33500b": (BENCH, EXAMPLES / "bench.toml"),
    "keysight_34465a": (BENCH, EXAMPLES / "bench.toml"),
    "keysight_34970a": (BENCH, EXAMPLES / "bench.toml"),
    "keysight_53230a": (BENCH, EXAMPLES / "bench.toml"),
    "keysight_b2900": (INSTRUMENTS, HERE / "test_instruments.py"),
    "keysight_e36300": (A_LOT, SIM / "station.toml"),
    "keysight_infiniivision": (BENCH, EXAMPLES / "bench.toml"),
    "keysight_n6700": (INSTRUMENTS, HERE / "test_instruments.py"),
    "modbus": (BESIDE, HERE / "cell_io.toml"),
    "mpi_sentio": (PROBER, HERE / "probers" / "mpi_sentio.toml"),
    "patlite": (BESIDE, HERE / "cell_io.toml"),
    "pcsc": (INSTRUMENTS, HERE / "test_instruments.py"),
    "rohde_schwarz_hmp": (INSTRUMENTS, HERE / "test_instruments.py"),
    "rohde_schwarz_ngx": (INSTRUMENTS, HERE / "test_instruments.py"),
    "text_line": (BESIDE, HERE / "cell_io.toml"),
    "ttl": (HANDLER, HERE / "handlers" / "ttl.toml"),
    "velleman_k8090": (BESIDE, HERE / "cell_io.toml"),
}


def test_no_model_is_forgotten() -> None:
    shipped = {
        entry.name for entry in entry_points(group="hardbin.drivers") if entry.value.startswith("drivers.")
    }
    assert shipped == set(USED)


@pytest.mark.parametrize("model", USED)
def test_its_lot_is_there(model: str) -> None:
    test, names_it = USED[model]
    file, _, function = test.partition("::")
    tree = ast.parse((HERE / file).read_text("utf-8"))
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert model in names_it.read_text("utf-8")
