"""The devices of a lot: made when loaded, forgotten when sorted, but for what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from zlib import crc32

from sim.dut.device import Contact, Device, MakeChip
from sim.dut.population import PINS, POPULATIONS, TYPICAL, Defect, Die, Population, draw
from sim.dut.truth import Fates, Truth
from sim.faults import Fault, FaultError

CREATOR, PRODUCT, PLANT = 0x0A01, 1, 7
DIES_PER_WAFER, DIES_PER_ROW = 2400, 60
MAX_DEVICES = DIES_PER_WAFER * 255
NEAR = 0.03
"""How near a limit a true parameter must be to count as a reason for rejecting a good device."""

DEFECTS = {defect.value: defect for defect in Defect if defect.value}


@dataclass(frozen=True)
class Wishes:
    """What the faults of a run ask of the devices and their contacts."""

    population: Population = TYPICAL
    celsius: float = 25.0
    forced: tuple[Fault, ...] = ()
    """Defects by name, and `twin_uid`."""
    dirt: tuple[Fault, ...] = ()

    def defect(self, seed: int, index: int) -> Defect | None:
        """Return the defect that a fault gives to this device, None to leave it to the draw."""
        return next(
            (DEFECTS[f.knob] for f in self.forced if f.knob in DEFECTS and picks(f, seed, index)), None
        )

    def twin(self, seed: int, index: int) -> bool:
        """Whether this device carries the UID of the one before it."""
        return index > 1 and any(f.knob == "twin_uid" and picks(f, seed, index) for f in self.forced)


def picks(fault: Fault, seed: int, index: int) -> bool:
    """Whether a fault hits device `index`: by its value, a running number; else @every, @p or @once (1)."""
    if fault.value:
        return int(fault.value) == index
    if fault.once:
        return index == 1
    if fault.probability < 1.0:
        return Random(f"{seed}:{fault.knob}:{index}").random() < fault.probability
    return index % fault.every == 0


@dataclass
class Lot:
    """What the handler's input holds, and what is known of all that came out of it."""

    name: str
    size: int
    seed: int
    make_chip: MakeChip
    wishes: Wishes = field(default_factory=Wishes)

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_DEVICES:
            raise ValueError(f"a simulated lot has 0 to {MAX_DEVICES} devices, not {self.size}")
        self.fates = Fates(self.size)

    def die(self, index: int) -> Die:
        """Return what device `index` truly is; the same at each call."""
        forced = self.wishes.defect(self.seed, index)
        return draw(self.wishes.population, self.seed, index, forced).at(self.wishes.celsius)

    def device(self, index: int) -> Device:
        """Make device `index`, from 1."""
        return Device(index, self.die(index), self.uid(index), self.make_chip)

    def uid(self, index: int) -> bytes:
        """Return the UID that wafer sort has written: 16 bytes."""
        place = index - 1 if self.wishes.twin(self.seed, index) else index
        return uid(self.name, place)

    def contact(self, device: Device, site: int) -> Contact:
        """Draw the next landing of a device: by seed, device and contact number, nothing else."""
        number = device.contacts + 1
        random = Random(f"{self.seed}:{device.index}:contact:{number}")
        again = bool(self.fates.open_pin(device.index))
        stays = self.wishes.population.stays_dirty if again else 0.0
        dirt = max(stays, self._dirt(device.index, number, site))
        fails, pin = random.random() < dirt, random.choice(PINS)
        return Contact(pin if fails else "", random.lognormvariate(-1.6, 0.3))

    def _dirt(self, index: int, number: int, site: int) -> float:
        for fault in self.wishes.dirt:
            if fault.value and int(fault.value) != site:
                continue
            if not fault.once and fault.every == 1:
                return fault.probability
            if number == 1 and index % fault.every == 0 and (not fault.once or index == 1):
                return 1.0
        return self.wishes.population.dirt

    def truth(self, index: int) -> Truth:
        """Join what the device is with what became of it."""
        die, fates = self.die(index), self.fates
        defect = self._wrong(index, die)
        open_pin = fates.open_pin(index)
        reasons = [defect] if defect else [*die.near(NEAR)]
        if open_pin:
            reasons.append(f"open contact at {open_pin}")
        return Truth(
            index=index,
            uid=self.uid(index),
            good=not defect,
            defect=defect,
            reasons=tuple(reasons),
            contacts=fates.contacts(index),
            hard_bin=fates.hard_bin(index),
            sealed=fates.sealed(index),
            personalised=fates.personalised(index),
        )

    def _wrong(self, index: int, die: Die) -> str:
        if not die.good:
            return die.outside() if die.defect is Defect.MARGINAL else die.defect.value
        return "twin_uid" if self.wishes.twin(self.seed, index) else ""


def uid(lot: str, index: int) -> bytes:
    """Return the UID of the device at a place of the lot, as wafer sort lays it out."""
    digits = "".join(c for c in lot if c.isdigit())
    number = int(digits) if digits and int(digits) < 2**32 else crc32(lot.encode())
    wafer, at = divmod(index - 1, DIES_PER_WAFER)
    y, x = divmod(at, DIES_PER_ROW)
    body = b"".join(
        (
            CREATOR.to_bytes(2, "big"),
            PRODUCT.to_bytes(2, "big"),
            PLANT.to_bytes(2, "big"),
            number.to_bytes(4, "big"),
            (wafer + 1).to_bytes(1, "big"),
            (x - DIES_PER_ROW // 2).to_bytes(2, "big", signed=True),
            y.to_bytes(2, "big", signed=True),
        )
    )
    return body + bytes([crc8(body)])


def crc8(data: bytes) -> int:
    """CRC-8, polynomial 07, start 00."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc8_of(byte: int) -> int:
    for _ in range(8):
        byte = byte << 1 ^ (0x107 if byte & 0x80 else 0)
    return byte


_CRC8 = bytes(_crc8_of(byte) for byte in range(256))


def wishes(faults: tuple[Fault, ...]) -> Wishes:
    """Read the faults of the machines `dut` and `socket`; FaultError for what these do not know."""
    dut = [fault for fault in faults if fault.machine == "dut"]
    socket = [fault for fault in faults if fault.machine == "socket"]
    _check(dut, {*DEFECTS, "twin_uid", "population", "temperature"})
    _check(socket, {"dirt"})
    named = {fault.knob: fault.value for fault in dut}
    return Wishes(
        population=_population(named),
        celsius=_celsius(named),
        forced=tuple(f for f in dut if f.knob not in ("population", "temperature")),
        dirt=tuple(socket),
    )


def _check(faults: list[Fault], knobs: set[str]) -> None:
    for fault in faults:
        if fault.knob not in knobs:
            allowed = ", ".join(sorted(knobs))
            raise FaultError(f"{fault.machine} has no fault {fault.knob!r}; it has: {allowed}")
        if fault.value and fault.knob not in ("population", "temperature") and not fault.value.isdecimal():
            raise FaultError(
                f"fault {fault.machine}.{fault.knob}={fault.value}: the value is a number, from 1"
            )


def _population(named: Mapping[str, str]) -> Population:
    name = named.get("population", TYPICAL.name)
    if name not in POPULATIONS:
        raise FaultError(f"fault dut.population={name}: choose one of {', '.join(sorted(POPULATIONS))}")
    return POPULATIONS[name]


def _celsius(named: Mapping[str, str]) -> float:
    text = named.get("temperature", "25")
    try:
        celsius = float(text)
    except ValueError:
        celsius = float("nan")
    if not -55.0 <= celsius <= 150.0:
        raise FaultError(f"fault dut.temperature={text}: degrees Celsius from -55 to 150")
    return celsius
