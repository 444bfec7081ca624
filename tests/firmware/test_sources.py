"""What is generated is up to date; the stub compiles without warnings and runs clean under the sanitisers."""

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from drivers.protocols.se1_table import COMMANDS, PERSONALISED_SLOTS, Slot
from sim.dut import board, library
from tests.firmware import fuzz

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "firmware-stubs"
WARNINGS = ("-Wshadow", "-Wconversion", "-Wvla")


def script(name: str) -> ModuleType:
    """A script of `firmware-stubs`, which is no package."""
    spec = importlib.util.spec_from_file_location(name, STUBS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_header_and_table_are_those_of_the_toml() -> None:
    for path, text in script("generate").outputs().items():
        assert path.read_text() == text, f"{path.name}: run firmware-stubs/generate.py"


def test_rom_constants_are_those_of_their_script() -> None:
    rom = script("rom")
    assert rom.HEADER.read_text() == rom.header(), "run firmware-stubs/rom.py"


def test_personalised_slots_are_generated() -> None:
    assert PERSONALISED_SLOTS == (Slot.ID_EC, Slot.ID_PQ, Slot.ID_KEM)
    assert "SE1_PERSONALISED_SLOTS {0x01, 0x02, 0x03}" in (STUBS / "se1" / "se1_commands.h").read_text()


@pytest.mark.parametrize("name", ["gcc", "zig"])
def test_no_warning(name: str, tmp_path: Path) -> None:
    """Two compilers; the one of the ziglang package, a clang, is what a machine without any gets."""
    found = shutil.which(name)
    if name == "gcc" and found is None:
        pytest.skip("no gcc here")
    compiler = [found] if found else [sys.executable, "-m", "ziglang", "cc"]
    flags = [*library.STRICT, *WARNINGS, *library.SHARED, "-o", "se1.so"]
    sources = sorted((STUBS / "se1").glob("*.c"))
    done = subprocess.run(
        [*compiler, *flags, *sources], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_warning_on_the_board(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ziglang", "cc", *board.TARGET, *library.STRICT, *WARNINGS, "-c"]
    sources = sorted((STUBS / "board").glob("*.c"))
    done = subprocess.run(
        [*command, f"-I{STUBS / 'board' / 'include'}", *sources], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_both_sides_of_the_bus_number_its_calls_alike() -> None:
    listed = re.findall(r"^  BUS_(\w+),?$", (STUBS / "board" / "bus.h").read_text(), re.MULTILINE)
    assert listed == [call.name for call in board.Call]
    assert [int(call) for call in board.Call] == list(range(len(listed)))


def test_a_machine_without_a_compiler_builds_it_with_the_one_of_the_ziglang_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(STUBS / "se1", tmp_path / "se1")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    built = library.build(tmp_path)
    assert built.read_bytes()[:4] == b"\x7fELF"


def test_the_stub_needs_nothing_but_string_h() -> None:
    if (nm := shutil.which("nm")) is None:
        pytest.skip("no nm here")
    listed = subprocess.run(
        [nm, "-D", "--undefined-only", library.build()], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
    foreign = {name for name in names if not name.startswith(("_", "mem", "str"))}
    assert foreign == set()


def test_the_stub_has_no_variables_of_its_own() -> None:
    if (nm := shutil.which("nm")) is None:
        pytest.skip("no nm here")
    asked = [nm, "--format=sysv", str(library.build())]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [[column.strip() for column in line.split("|")] for line in listed if line.count("|") == 6]
    variables = {name for name, *_, section in symbols if section in (".data", ".bss")}
    assert {name for name in variables if not name.startswith(("_", "completed"))} == set()


def test_the_reference_page_names_every_command() -> None:
    page = (ROOT / "docs" / "reference" / "se1.md").read_text()
    assert [name for name in COMMANDS if name not in page] == []


def test_files_are_short() -> None:
    for path in (STUBS / "se1").glob("*.c"):
        assert len(path.read_text().splitlines()) < 400, path.name


def test_no_compiler_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(library, "find_spec", lambda _: None)
    with pytest.raises(library.BuildError, match="install gcc or clang"):
        library.build(tmp_path)


def test_a_source_that_does_not_compile_is_told(tmp_path: Path) -> None:
    (tmp_path / "se1").mkdir()
    (tmp_path / "se1" / "bad.c").write_text("int main(void) { return nothing; }\n")
    with pytest.raises(library.BuildError, match="nothing"):
        library.build(tmp_path)


def test_clean_under_the_sanitisers_whatever_comes() -> None:
    """Every command in every state, and a few hundred dialogues that the fuzzer makes of them."""
    if "gcc" not in Path(os.path.realpath(library.compiler()[0])).name:
        pytest.skip("the sanitisers' runtime is preloaded as gcc names it")
    try:
        built = fuzz.built()
    except library.BuildError as error:
        pytest.skip(f"no sanitisers here: {error}")
    asked = [sys.executable, "-m", "tests.firmware.fuzz", "400", "1", "--library", str(built)]
    done = subprocess.run(
        asked, env=fuzz.environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count, began, covered = (int(word) for word in done.stdout.split() if word.isdigit())
    assert count == 400
    assert 700 < began < covered, "the fuzzer reaches what the table does not"


def test_the_library_shows_its_own_functions_alone() -> None:
    """A Python with zlib inside has a crc32, which the library's must not be taken for."""
    stub = ctypes.CDLL(str(library.build()))
    assert [
        name for name in ("se1_size", "se1_power_on", "se1_reset", "se1_apdu") if not hasattr(stub, name)
    ] == []
    assert not hasattr(stub, "crc32")
