"""The devices of unit 1: `given coils`, `inputs`, `holding`, `registers` (address:value, blank between).

`given framing = tcp`, else RTU; `interlock` (table, address, value while it is open); `faults`.
"""

from sim.interlock.modbus import Bank, ModbusRtu, ModbusTcp
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.lines import LinePlayer, TcpPlayer, faults
from tests.stepclock import StepClock


def bank(dialogue: Dialogue) -> Bank:
    made = Bank()
    for table in ("coils", "inputs", "holding", "registers"):
        for pair in dialogue.given.get(table, "").split():
            address, _, value = pair.partition(":")
            getattr(made, table)[1, int(address)] = int(value)
    if told := dialogue.given.get("interlock"):
        table, address, value = told.split()
        made.interlocks[table, 1, int(address)] = int(value)
    return made


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    if dialogue.given.get("framing") == "tcp":
        tcp = ModbusTcp(clock, bank(dialogue), faults=faults(dialogue, ModbusTcp.knobs))
        return TcpPlayer(tcp, clock)
    return LinePlayer(ModbusRtu(clock, bank(dialogue), faults=faults(dialogue, ModbusRtu.knobs)), clock)
