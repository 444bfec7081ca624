"""A device on an I2C bus at the lines of an MPSSE engine; see `drivers.protocols.mpsse_i2c`."""

from drivers.dio.mpsse_spi import Engine
from drivers.errors import EquipmentError, InstrumentError
from drivers.protocols.mpsse_i2c import READS, Bus, took
from drivers.roles.i2c import I2c
from drivers.transports import Conversation, Port

MOST_BYTES = 256


class I2cChannel(I2c):
    """The device at one address of the bus."""

    def __init__(self, name: str, port: Port, engine: Engine, address: int, hz: float) -> None:
        super().__init__(name)
        self._port = port
        self._engine = engine
        self._address = address
        self._hz = hz

    async def exchange(self, data: bytes, count: int = 0) -> bytes:
        if not 1 <= len(data) + count <= MOST_BYTES or count < 0:
            raise EquipmentError(
                f"{self.name}: {len(data)} bytes out, {count} in; 1 to {MOST_BYTES} at a time are possible"
            )
        return await self._port.run(self._exchanged(data, count))

    async def answers(self) -> bool:
        return await self._port.run(self._called())

    async def make_safe(self) -> None:
        """Say nothing: each transaction ends by itself, and the lines rest with their chip."""

    def _called(self) -> Conversation[bool]:
        bus = self._bus()
        answer = yield from self._engine.done(bus.start() + bus.said(self._address << 1) + bus.stop(), 1)
        return took(answer[0])

    def _exchanged(self, data: bytes, count: int) -> Conversation[bytes]:
        """Call the device, send, call it again to read: whatever it does not take ends the transaction."""
        bus = self._bus()
        heard = b""
        if data:
            called = bus.start() + bus.said(self._address << 1)
            for number, commands in enumerate((called, *map(bus.said, data))):
                yield from self._said(bus, commands, number)
        if count:
            yield from self._said(bus, bus.start() + bus.said(self._address << 1 | READS), 0)
            wanted = b"".join(bus.heard(last=left == 0) for left in reversed(range(count)))
            heard = yield from self._engine.done(wanted, count)
        yield from self._engine.done(bus.stop(), 0)
        return heard

    def _said(self, bus: Bus, commands: bytes, number: int) -> Conversation[None]:
        answer = yield from self._engine.done(commands, 1)
        if not took(answer[0]):
            yield from self._engine.done(bus.stop(), 0)
            what = f"byte {number}" if number else f"its address 0x{self._address:02X}"
            raise InstrumentError(number, f"{self.name} did not take {what}")

    def _bus(self) -> Bus:
        value, direction = self._engine.pins()
        return Bus(value, direction, self._hz)
