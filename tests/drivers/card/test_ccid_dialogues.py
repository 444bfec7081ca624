"""The card reader's driver against the dialogues of `ccid`, without a port."""

import pytest

from drivers.card.ccid import CcidOptions, CcidReader, CcidSlot
from drivers.errors import DutError, EquipmentError, ProtocolError, Silent
from drivers.links.card import SlotLink
from drivers.links.ccid import ChipError, ReaderLink
from drivers.protocols.ccid import INTERFACE_CLASS, ClassDescriptor, Features, SlotChange
from drivers.roles import Apdu, Identity, Stopped
from drivers.transports.usb_descriptors import BULK, Endpoint, Interface
from tests.dialogue import find
from tests.replay import replayed, written

SELECT = Apdu(bytes.fromhex("00A4040000"))


def slot(features: int = Features.TPDU | Features.AUTO_VOLTAGE) -> SlotLink:
    pipes = (Endpoint(0x01, BULK, 64), Endpoint(0x82, BULK, 64))
    interface = Interface(0, 0, INTERFACE_CLASS, 0, pipes, ())
    return SlotLink(0, ReaderLink(interface, ClassDescriptor(features=features)))


async def test_power_on_exchange_with_waiting_time_extension_and_power_off() -> None:
    link = slot()
    with replayed("ccid/exchange_with_wtx") as port:
        assert (await port.run(link.power_on()))[-1] == 0x98
        result = await port.run(link.script((SELECT,)))
        assert [reply.status for reply in result.replies] == [0x9000]
        assert result.stopped is Stopped.END
        await port.run(link.power_off())


async def test_no_chip_in_the_slot() -> None:
    with replayed("ccid/card_absent") as port:
        with pytest.raises(ChipError, match="no card") as failed:
            await port.run(slot().power_on())
        assert not failed.value.silent


async def test_chip_that_gives_no_atr_is_silent() -> None:
    with replayed("ccid/chip_gives_no_atr") as port:
        with pytest.raises(ChipError) as failed:
            await port.run(slot().power_on())
        assert failed.value.silent


@pytest.mark.parametrize("what", ["time_extension", "pps_to_faster_rate"])
async def test_activation(what: str) -> None:
    with replayed(f"ccid/{what}") as port:
        await port.run(slot().power_on())


@pytest.mark.parametrize("what", ["bad_block_is_asked_again", "pps_to_t1"])
async def test_exchange(what: str) -> None:
    link = slot()
    with replayed(f"ccid/{what}") as port:
        await port.run(link.power_on())
        assert (await port.run(link.script((SELECT,)))).stopped is Stopped.END


async def test_chip_of_t0_gives_its_answer_in_two_steps() -> None:
    link = slot()
    with replayed("ccid/t0_get_response") as port:
        await port.run(link.power_on())
        (reply,) = (await port.run(link.script((Apdu(bytes.fromhex("00A40400023F00")),)))).replies
        assert (reply.data, reply.status) == (b"\xaa\xbb\xcc", 0x9000)


@pytest.mark.parametrize("what", ["chained_command", "resynchronised"])
async def test_long_command_in_blocks_of_16_bytes(what: str) -> None:
    link = slot()
    with replayed(f"ccid/{what}") as port:
        await port.run(link.power_on())
        command = Apdu(bytes.fromhex("00D600000F") + bytes(range(1, 16)))
        assert (await port.run(link.script((command,)))).stopped is Stopped.END


async def test_two_slots_of_one_reader() -> None:
    first = slot()
    second = SlotLink(1, first._reader)
    with replayed("ccid/two_slots") as port:
        for link in (first, second):
            await port.run(link.power_on())
        for link in (second, first):
            assert (await port.run(link.script((SELECT,)))).stopped is Stopped.END


async def test_mute_chip_ends_the_script_and_is_not_spoken_to_again() -> None:
    link = slot()
    with replayed("ccid/mute_chip") as port:
        await port.run(link.power_on())
        for _ in range(2):
            result = await port.run(link.script((SELECT,)))
            assert (result.replies, result.stopped) == ((), Stopped.LINK)


async def test_silent_reader_is_aborted_and_blamed() -> None:
    with replayed("ccid/silent_reader_is_aborted") as port, pytest.raises(Silent):
        await port.run(slot().power_on())


async def test_connect_reads_descriptors_and_takes_the_power() -> None:
    with replayed("ccid/connect") as port:
        reader = CcidReader("reader", port, CcidOptions())
        await reader.connect()
        assert list(reader.channels) == ["0"]


async def test_connect_refuses_more_slots_than_the_reader_has() -> None:
    with replayed("ccid/connect") as port:
        with pytest.raises(EquipmentError, match="slots = 2, but the reader has 1"):
            await CcidReader("reader", port, CcidOptions(slots=2)).connect()
        port.script.left.clear()


def test_slot_change_of_a_card_that_came() -> None:
    (turn,) = find("ccid/card_inserted").turns
    assert SlotChange.decode(turn.data, 1) == SlotChange(((True, True),))


OFF = ">x 63 00 00 00 00 00 00 00 00 00\n"
STATUS = ">x 65 00 00 00 00 00 01 00 00 00\n"


# -- the slots as the engine has them
async def test_a_reader_says_who_it_is_and_its_slot_serves_a_chip() -> None:
    with replayed("ccid/names_and_a_slot") as port:
        reader = CcidReader("reader", port, CcidOptions())
        await reader.connect()
        assert await reader.identify() == Identity("ACME", "Reader 1", "R7", "2.01")
        chip = reader.channels["0"]
        assert (await chip.power_on())[-1] == 0x98
        assert (await chip.run((SELECT,))).stopped is Stopped.END
        await chip.power_off()
        await reader.aclose()
    assert port.closed == 1


async def test_a_chip_that_does_not_take_part_fails_its_test() -> None:
    with replayed("ccid/chip_gives_no_atr") as port:
        chip = CcidSlot("reader.0", 0, port)
        chip.attach(slot())
        with pytest.raises(DutError, match="reader.0: ") as failed:
            await chip.power_on()
    assert failed.value.silent


async def test_a_slot_without_a_chip_is_safe_and_one_that_keeps_its_power_is_not() -> None:
    with replayed("ccid/taken_out") as port:
        chip = CcidSlot("reader.0", 0, port)
        chip.attach(slot())
        await chip.make_safe()
    refused = "<x 81 00 00 00 00 00 00 42 FE 00\n"  # some say it by refusing
    other = refused.replace("00 00 42", "00 01 42")
    chip = CcidSlot("reader.0", 0, written(f"{OFF}{refused}{STATUS}{other}"))
    chip.attach(slot())
    await chip.make_safe()
    powered = "<x 81 00 00 00 00 00 {} 00 00 01\n"
    chip = CcidSlot("reader.0", 0, written(OFF + powered.format("00") + STATUS + powered.format("01")))
    with pytest.raises(EquipmentError, match="reader.0 is not connected"):
        await chip.make_safe()
    chip.attach(slot())
    with pytest.raises(EquipmentError, match="reader.0: the chip still has power"):
        await chip.make_safe()


CHANGES: list[tuple[dict[int, int], CcidOptions, str]] = [
    ({14: 0xFF}, CcidOptions(), "no interface of class smart card"),
    ({16: 1}, CcidOptions(), "card reader of protocol 1; CCID is 0"),
    ({19: 0x41}, CcidOptions(), "the card reader has no class descriptor"),
    ({60: 0}, CcidOptions(), "the reader works at character level"),
    ({58: 0}, CcidOptions(), "set option voltage"),
    ({23: 0b010}, CcidOptions(voltage="5 V"), "the reader does not supply 5 V"),
]
"""Bytes of the configuration descriptor in `connect`, and what is then wrong with the reader."""


@pytest.mark.parametrize(("changes", "options", "says"), CHANGES, ids=str)
async def test_a_reader_that_cannot_do_what_is_needed(
    changes: dict[int, int], options: CcidOptions, says: str
) -> None:
    raw = bytearray(find("ccid/connect").turns[3].data)
    for at, value in changes.items():
        raw[at] = value
    asked = ">control 80 06 0200 0000\n<x "
    port = written(f"{asked}{raw[:9].hex(' ')}\n{asked}{raw.hex(' ')}\n")
    with pytest.raises(EquipmentError, match=says):
        await CcidReader("reader", port, options).connect()


async def test_a_device_descriptor_that_is_none() -> None:
    port = written(">control 80 06 0100 0000\n<x 12 01 00 02\n")
    with pytest.raises(ProtocolError, match="device descriptor of 4 bytes"):
        await CcidReader("reader", port, CcidOptions()).identify()
