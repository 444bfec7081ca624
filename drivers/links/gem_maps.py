"""The maps of a host: what the equipment sends is kept, what it asks for is given, a file for each."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

from msgspec import DecodeError, ValidationError, json

from drivers.errors import EquipmentError, ProtocolError
from drivers.protocols import gem_maps as maps
from drivers.protocols.gem_maps import SubstrateMap
from drivers.protocols.hsms import Message
from drivers.protocols.secs import Item, array, binary

TAKEN, WRONG_FORMAT, UNKNOWN_MAP, DISCARD = 0, 1, 2, 3
"""MDACK."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

log = logging.getLogger(__name__)


class MapDesk:
    """Answers S12. A map is `<MID>.json` in a folder: `SubstrateMap` as it stands."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._set_up: dict[str, SubstrateMap] = {}

    def check(self) -> None:
        """Raise EquipmentError unless the folder is there."""
        if not self._folder.is_dir():
            raise EquipmentError(f"{self._name}: map_folder {self._folder}: there is no such folder")

    def answered(self, message: Message) -> Message | None:
        """Return the reply to a message of stream 12; None if none is due, or it cannot be read."""
        try:
            return self._answer(message)
        except ProtocolError as error:
            log.warning("%s: %s", self._name, error)
            return None

    def _answer(self, message: Message) -> Message | None:
        match message.function:
            case 1:
                return Message(12, 2, binary(self._setting_up(message)))
            case 3:
                return Message(12, 4, self._given(message, maps.about))
            case 5:
                return Message(12, 6, binary(0))
            case 7 | 9 | 11:
                return Message(12, message.function + 1, binary(self._kept(message)))
            case 13:
                return Message(12, 14, self._given(message, maps.rows_of))
            case 15:
                return Message(12, 16, self._given(message, maps.array_of))
            case 17:
                return Message(12, 18, self._given(message, maps.coordinates_of))
            case 19:
                log.warning("%s: did not take a map: %s", self._name, message.item)
        return None

    def _setting_up(self, message: Message) -> int:
        one = maps.setup_of(message)
        if not _NAME.fullmatch(one.mid) or one.axis > 3:  # noqa: PLR2004 - 4 to 7 go by columns
            log.warning("%s: map %r, axis %d: not taken", self._name, one.mid, one.axis)
            return WRONG_FORMAT
        self._set_up[one.mid] = one
        return 0

    def _kept(self, message: Message) -> int:
        known = self._set_up.get(maps.mid_of(message))
        if known is None:
            return UNKNOWN_MAP
        try:
            one = maps.sent(message, known)
        except ProtocolError as error:
            log.warning("%s: %s", self._name, error)
            return WRONG_FORMAT
        self._set_up[one.mid] = one
        try:
            self._write(one)
        except OSError as error:
            log.error("%s: map %s cannot be kept: %s", self._name, one.mid, error)  # noqa: TRY400
            return DISCARD
        return TAKEN

    def _write(self, one: SubstrateMap) -> None:
        path = self._folder / f"{one.mid}.json"
        part = path.with_suffix(".part")
        part.write_bytes(json.format(json.encode(one), indent=1) + b"\n")
        part.replace(path)
        log.info("%s: map %s is in %s", self._name, one.mid, path)

    def _given(self, message: Message, write: Callable[[SubstrateMap], Item]) -> Item:
        one = self._read(maps.mid_of(message))
        return array() if one is None else write(one)

    def _read(self, mid: str) -> SubstrateMap | None:
        """Return the map of a file; None if there is none, or one that cannot be read."""
        path = self._folder / f"{mid}.json"
        if not _NAME.fullmatch(mid) or not path.is_file():
            return None
        try:
            one = json.decode(path.read_bytes(), type=SubstrateMap)
        except (OSError, DecodeError, ValidationError) as error:
            log.warning("%s: map %s: %s", self._name, path, error)
            return None
        return one if one.mid == mid else None
