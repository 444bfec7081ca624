"""The texts of a new model's files; `<word>` is filled in."""

DRIVER = '''"""<Maker> <MODEL>.

Ref: name the manual and its sections here.
"""

<imports>

from msgspec import Meta, Struct

from drivers.errors import EquipmentError
from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink<parsed>
<boolean>from drivers.roles import <roles>
from drivers.transports import Conversation, Port


class <Class>Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a <MODEL>."""

    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class <Class>Channel(<Role>):
    """The one channel."""

    def __init__(self, name: str, port: Port, link: ScpiLink) -> None:
        super().__init__(name)
        self._port = port
        self._link = link
<settle>
<verbs>

    async def make_safe(self) -> None:
        await self._port.run(insisting(self._making_safe))

<safe>

    def _unwritten(self, verb: str) -> EquipmentError:
        return EquipmentError(f"{self.name}: its driver does not know yet how to {verb}")


class <Class>(PortMachine):
    """A <MODEL>."""

    Options: ClassVar[type[<Class>Options]] = <Class>Options
    models = r"\\b<MODEL>\\b"

    def __init__(self, name: str, port: Port, options: <Class>Options) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, <Class>Channel] = {"": <Class>Channel(name, port, self._link)}

    def _setting_up(self) -> Conversation[None]:
        yield from self._link.exchange("*RST", "*CLS", timeout_s=TIMEOUT_S)
'''

SAFE_ASKED = """    def _making_safe(self) -> Conversation[None]:
        (still_on,) = yield from self._link.exchange(<units>, timeout_s=OFF_TIMEOUT_S)
        if parsed(read_boolean, "<query>", still_on):
            raise EquipmentError(f"{self.name}: the output was switched off and is still on")"""

SAFE_TOLD = """    def _making_safe(self) -> Conversation[None]:
        yield from self._link.exchange(<units>, timeout_s=OFF_TIMEOUT_S)"""

MACHINE = '''"""A simulated <Maker> <MODEL>.

Ref: name the manual and its sections here.
"""

from collections.abc import Mapping

from drivers.protocols.scpi import ErrorEntry
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS
from sim.scpi import Action, ScpiInstrument<switch>


class <Class>(ScpiInstrument):
    """The box; a machine with something at its channels is made with its loads."""

<machine>

    def table(self) -> Mapping[str, Action]:
        return {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            "*CLS": lambda _: self.errors.clear(),
            ":SYSTem:ERRor[:NEXT]?": self.read_error,
<table>        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return (entry or ErrorEntry(0, "No error")).encode()

<reset>
'''

OUTPUT = """    knobs = MESSAGE_KNOBS | {"stuck_on"}

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.idn = "<MAKER>,<MODEL>,1,1.0"
        self.on = False
        super().__init__(clock, faults)"""

PLAIN = """    knobs = MESSAGE_KNOBS

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.idn = "<MAKER>,<MODEL>,1,1.0"
        super().__init__(clock, faults)"""

OUTPUT_TABLE = """            ":OUTPut[:STATe]": self._switch,
            ":OUTPut[:STATe]?": lambda _: str(int(self.on)),
"""

OUTPUT_RESET = """    def _reset(self, _: str) -> None:
        self.on = False

    def _switch(self, argument: str) -> None:
        on = boolean(argument)
        if on or self.faults.strikes("stuck_on") is None:
            self.on = on"""

PLAIN_RESET = '''    def _reset(self, _: str) -> None:
        """Nothing is kept yet."""'''

PLAYER = '''"""The <MODEL> of dialogues; `given idn` is its name<given>."""

from sim.<role>.<name> import <Class>
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = <Class>(clock, faults(dialogue, <Class>.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
<on>    return InstrumentPlayer(machine, clock)
'''

PLAYER_ON = """    machine.on = dialogue.given.get("output") == "on"
"""

TEST = """import pytest

<test_imports>
from tests.replay import ReplayPort, replayed


def made(port: ReplayPort) -> <Class>:
    return <Class>("it", port, <Class>Options())


async def test_connect_leaves_it_known_and_safe() -> None:
    with replayed("<name>/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert (port.opened, port.closed) == (1, 1)


async def test_another_model_is_refused() -> None:
    with (
        replayed("<name>/another_machine") as port,
        pytest.raises(EquipmentError, match="another model"),
    ):
        await made(port).connect()


async def test_safe_state_survives_one_lost_answer() -> None:
    with replayed("<name>/answer_lost") as port:
        await made(port).channels[""].make_safe()
<more>"""

TEST_STAYS_ON = """

async def test_output_that_stays_on_is_told() -> None:
    with (
        replayed("<name>/stays_on") as port,
        pytest.raises(EquipmentError, match="still on"),
    ):
        await made(port).channels[""].make_safe()
"""

CONNECTS = """origin assumed
# By `hardbin equip new`: put here what the manual or the machine says, and its origin into the first line.
> *IDN?
< <MAKER>,<MODEL>,1,1.0
> *RST;*CLS;:SYST:ERR?
< 0,"No error"
> <said>;:SYST:ERR?
< <answer>0,"No error"
"""

ANOTHER = """origin assumed
given idn = <MAKER>,ANOTHER,1,1.0
> *IDN?
< <MAKER>,ANOTHER,1,1.0
"""

LOST = """origin assumed
given fault = it.drop_reply@once
# The first answer is lost; the safe state is tried again.
> <said>;:SYST:ERR?
<-
>clear
> :SYST:ERR?
< 0,"No error"
> <said>;:SYST:ERR?
< <answer>0,"No error"
"""

STAYS_ON = """origin assumed
given output = on
given fault = it.stuck_on
> <said>;:SYST:ERR?
< <still>0,"No error"
"""
