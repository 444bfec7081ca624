"""The committed messages are those of the contract."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WIRE = ROOT / "station" / "vault" / "wire"
PLUGINS = ("mypy", "mypy_grpc")
OUTPUTS = ("python", "mypy", "grpc_python", "mypy_grpc")


@pytest.mark.parametrize("contract", ["floor", "desk"])
def test_generating_again_gives_the_same(tmp_path: Path, contract: str) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Istation/vault/wire=station/vault"]
    command += [f"--{kind}_out={tmp_path}" for kind in OUTPUTS]
    command += [f"--plugin=protoc-gen-{p}={Path(sys.executable).parent}/protoc-gen-{p}" for p in PLUGINS]
    subprocess.run([*command, f"station/vault/{contract}.proto"], cwd=ROOT, check=True, capture_output=True)
    made = tmp_path / "station" / "vault" / "wire"
    assert {path.name for path in made.iterdir()} == {path.name for path in WIRE.glob(f"{contract}_pb2*")}
    for path in made.iterdir():
        assert path.read_text() == (WIRE / path.name).read_text(), f"{path.name} differs: generate it again"
