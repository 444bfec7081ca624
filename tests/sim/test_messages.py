"""What all simulated text machines do alike: pace, error queue, faults, and the two languages."""

import pytest

from sim.faults import Faults, parse
from sim.messages import QUEUE_LENGTH
from sim.scpi import spellings
from sim.smu.keithley_2450 import Keithley2450
from sim.smu.keithley_2600b import Keithley2600B
from tests.simulated.instruments import Resistor
from tests.stepclock import StepClock


class Bench:
    """A machine, and a way to ask it."""

    def __init__(self, fault: str = "", *, tsp: bool = False) -> None:
        self.clock = StepClock()
        self.load = Resistor(1000.0)
        make = Keithley2600B if tsp else Keithley2450
        found = tuple(map(parse, fault.split()))
        loads = {"": self.load, "a": self.load}
        self.machine = make(self.clock, loads, Faults("it", make.knobs, found, "x"))

    def say(self, text: str) -> None:
        self.machine.bus_write(text.encode() + b"\n", end=True)

    def ask(self, text: str, *, within_s: float = 1.0) -> str:
        self.say(text)
        answer, _ = self.machine.bus_read(4096, None, self.clock.time() + within_s)
        return answer.decode().rstrip("\n")


def test_answer_comes_when_the_reading_is_done() -> None:
    bench = Bench()
    assert bench.ask(":OUTP ON;:READ?", within_s=0.02) == ""
    assert bench.machine.bus_read(99, None, bench.clock.time() + 0.002)[0]


def test_query_before_the_answer_was_read_is_an_error_and_loses_it() -> None:
    bench = Bench()
    bench.say("*IDN?")
    assert bench.ask(":SYST:ERR?") == '-410,"Query INTERRUPTED;1;0 0"'


def test_device_clear_forgets_the_answer_and_ends_what_is_under_way() -> None:
    bench = Bench()
    bench.say(":SENS:CURR:NPLC 10;:READ?")
    bench.machine.bus_clear()
    assert bench.ask(":SYST:ERR?", within_s=0.01) == '0,"No error;0;0 0"'


def test_full_queue_says_so_in_its_last_place() -> None:
    bench = Bench()
    for _ in range(QUEUE_LENGTH + 5):
        bench.say("NONSENSE")
    entries = [bench.ask(":SYST:ERR?") for _ in range(QUEUE_LENGTH + 1)]
    assert entries[0].startswith("-113")
    assert entries[-2].startswith("-350")
    assert entries[-1].startswith("0,")


def test_mute_machine_hears_nothing() -> None:
    bench = Bench("it.mute")
    assert bench.ask("*IDN?") == ""


def test_gap_must_be_kept() -> None:
    bench = Bench("it.min_gap=50")
    assert bench.ask("*IDN?") != ""
    assert bench.ask("*IDN?", within_s=0.01) == ""
    bench.clock.sleep(0.05)
    assert bench.ask("*IDN?") != ""


def test_spellings() -> None:
    found = spellings(":SOURce[1]:VOLTage[:LEVel]?")
    assert len(found) == 4 * 2 * 3
    assert {":SOUR:VOLT?", ":SOURCE1:VOLTAGE:LEVEL?", ":SOUR1:VOLT:LEV?"} <= set(found)
    assert ":SOURC:VOLT?" not in found


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (":OUTPU ON", -113),
        ("OUTP MAYBE", -224),
        ("OUTP", -109),
        (":SOUR:VOLT", -109),
        (":SOUR:VOLT one", -104),
        (":SOUR:VOLT 1e9", -222),
        (":SOUR:FUNC RES", -224),
        (":SOUR:VOLT:RANG:AUTO 0", -224),
        (":OUTP ON;:SOUR:FUNC CURR", -221),
    ],
)
def test_scpi_refuses_by_code(message: str, code: int) -> None:
    bench = Bench()
    bench.say(message)
    assert bench.ask(":SYST:ERR?").startswith(f"{code},")


def test_execution_error_lets_the_message_go_on_and_a_command_error_does_not() -> None:
    bench = Bench()
    assert bench.ask(":SOUR:VOLT 1e9;:OUTP?") == "0"
    assert bench.ask(":SOUR:VOLT one;:OUTP?") == ""
    assert bench.ask(":NONSENSE;:OUTP?") == ""


def test_header_without_colon_stays_on_its_branch() -> None:
    bench = Bench()
    assert bench.ask(":SOUR:VOLT:ILIM 0.5;*OPC?;ILIM?") == "1;5.000000E-01"


@pytest.mark.parametrize(
    ("chunk", "code"),
    [
        ("smua.source.levelv=1e9", 1102),
        ("smua.source.limiti=0", 1101),
        ("smua.source.nonsense=1", -286),
        ('smua.source.levelv="one"', -286),
        ("nonsense()", -286),
        ("print(smuc.source.levelv)", -286),
        ("smua.source.levelv=", -285),
        ("smua.source.levelv 1", -285),
        ("if smua then smua.reset()", -285),
        ("print(1 2)", -285),
        ("if nil<1 then end", -286),
        ("x = {1", -285),
        ("print(", -285),
        ("print(;)", -285),
        ("*RST?", -113),
    ],
)
def test_tsp_refuses_by_code(chunk: str, code: int) -> None:
    bench = Bench(tsp=True)
    bench.say(chunk)
    assert int(float(bench.ask("print(errorqueue.next())").split("\t")[0])) == code


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("1", "1.00000e+00"),
        ("-2.5e-3", "-2.50000e-03"),
        ("true", "true"),
        ("nil", "nil"),
        ('"text"', "text"),
        ("1==1", "true"),
        ("1~=1", "false"),
        ("smua.nothing", "nil"),
        ("1,2", "1.00000e+00\t2.00000e+00"),
        ("smua.measure.iv(),1", "0.00000e+00\t1.00000e+00"),
        ("1,smua.measure.iv()", "1.00000e+00\t0.00000e+00\t0.00000e+00"),
        ("smua.OUTPUT_DCVOLTS", "1.00000e+00"),
    ],
)
def test_tsp_expressions(expression: str, printed: str) -> None:
    assert Bench(tsp=True).ask(f"print({expression})") == printed


def test_tsp_condition_guards_its_block() -> None:
    bench = Bench(tsp=True)
    assert bench.ask("if 1==2 then smua.source.output=1 end; print(smua.source.output)") == "0.00000e+00"
    assert bench.ask("if 1==1 then smua.source.output=1 end; print(smua.source.output)") == "1.00000e+00"


def test_tsp_chunk_that_breaks_off_has_done_what_came_before() -> None:
    bench = Bench(tsp=True)
    assert bench.ask("smua.source.levelv=2 nonsense() smua.source.levelv=3 print(1)") == ""
    assert bench.ask("print(smua.source.levelv)") == "2.00000e+00"


def test_tsp_remembers_no_more_chunks_than_it_may() -> None:
    bench = Bench(tsp=True)
    for n in range(600):
        bench.say(f"smua.source.levelv={n / 100}")
    assert bench.ask("print(smua.source.levelv, errorqueue.count)") == "5.99000e+00\t0.00000e+00"
