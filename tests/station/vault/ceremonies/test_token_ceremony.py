"""A ceremony with a hardware module: the dump tells what the token says, and a difference fails."""

from pathlib import Path

import pytest

from station.vault.ceremonies import bundle, conductor
from station.vault.ceremonies.proof import verified
from station.vault.keys.control import own
from station.vault.keys.errors import ModuleError, PolicyError
from tests.station.vault.ceremonies.rooms import Room, carried_out, planned
from tests.station.vault.keys import test_pkcs11, token_tool
from tests.station.vault.keys.test_pkcs11 import GUARDED, MODULE, Tool, token, tool

pytestmark = test_pkcs11.pytestmark
__all__ = ["token", "tool"]


class AtTheToken(Room):
    """A room where somebody types a PIN."""

    def __init__(self, pin: str = token_tool.PIN) -> None:
        super().__init__()
        self._pin = pin

    def secret(self, about: str, *, new: bool) -> bytearray:
        if about == "pin of the token":
            return bytearray(self._pin.encode())
        return super().secret(about, new=new)


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch, token: Path) -> None:
    """Each module in a process of its own."""
    assert not token.exists()
    monkeypatch.setattr(conductor, "own", own)


def test_the_tokens_keys_are_guarded_and_others_marked(tmp_path: Path) -> None:
    folder = planned(tmp_path, module=MODULE, token=token_tool.TOKEN, pq="soft")
    with pytest.raises(ModuleError, match="PinIncorrect"):
        carried_out(folder, AtTheToken("planted-wrong-pin"))
    carried_out(folder, AtTheToken())
    verified(folder)
    told = bundle.read((folder / "bundle.json").read_bytes())
    keys = {one.profile.id: one for one in told.keys}
    assert keys["ICA-EC-1"].attributes == GUARDED
    assert (keys["ICA-PQ-1"].where, keys["ICA-PQ-1"].mark) == ("soft", "software PQ key")
    assert "software PQ key" in (folder / "transcript.txt").read_text("utf-8")


def test_without_a_policy_no_post_quantum_key_is_made(tmp_path: Path) -> None:
    folder = planned(tmp_path, module=MODULE, token=token_tool.TOKEN)
    with pytest.raises(PolicyError, match=r"REC-1: the module has no ML-DSA-65, and the policy is refuse"):
        carried_out(folder, AtTheToken())


def test_a_key_that_the_token_lost_is_found(tmp_path: Path, tool: Tool) -> None:
    carried_out(planned(tmp_path, module=MODULE, token=token_tool.TOKEN, pq="soft"), AtTheToken())
    tool("remove", "hardbin:LOG-1")
    given = {"old": "REC-EC-1", "new": "REC-EC-2", "algorithm": "P-384", "purpose": "sign", "days": "9"}
    with pytest.raises(PolicyError, match="LOG-1"):
        carried_out(planned(tmp_path, "rotate", **given), AtTheToken())
