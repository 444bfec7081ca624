"""One die `se1`: the firmware stub decides; memory, noise, mathematics, time and power are here."""

from dataclasses import dataclass
from functools import cached_property, partial
from random import Random
from typing import Literal, Self

from drivers.protocols import se1
from drivers.protocols.se1_replies import DieStatus
from drivers.protocols.se1_table import ATR, Algorithm, LifeCycle, Slot, SlotState
from sim.dut import crypto, transport
from sim.dut.aside import LONGEST_S, Aside
from sim.dut.firmware import CUT, LENGTHS, OK, Firmware
from sim.dut.latency import Latency, Profile
from sim.dut.memory import Memory, PowerCut

MINIMUM_VOLTS = 1.62
NOMINAL_VOLTS = 3.3
PAYLOAD_BIT = 40
PAYLOADS = (223, 1024, 4096)
SLOT_ALGORITHMS = {
    Slot.ID_EC: Algorithm.P384,
    Slot.ID_PQ: Algorithm.MLDSA65,
    Slot.ID_KEM: Algorithm.MLKEM768,
}
SORTED_STATES = (
    LifeCycle.RAW,
    LifeCycle.TEST_LOCKED,
    LifeCycle.TEST_UNLOCKED,
    LifeCycle.OP_READY,
)
PROTECTED = 0x84
DIE_STATUS = bytes.fromhex("80cadf00")
ENDLESS_S = 1e6
CHECK_VALUE_INPUT = b"\1" * 16
CHECK_VALUES = 3
"""PUT KEY computes so many when it unwraps the keys, and as many again to answer them."""
SET_30_PAGES = frozenset((8, 9, 32, 33, 34))
"""The marker of key set 30 in both its pages, and its keys: cell 4 and area 0 of nvm.c."""
SLOT_PAGES = 12
"""Where the states of the slots begin, two pages each: cell 6 of nvm.c."""


@dataclass(frozen=True, slots=True)
class ChipFaults:
    """What is wrong with a die from now on; the default is nothing."""

    mute: bool = False
    """Never answers to reset."""
    mute_after: int | None = None
    """Answers this many commands after each reset, then no more."""
    trng: Literal["sound", "stuck", "biased", "repeating"] = "sound"
    """A repeating source says the same 256 bytes again and again."""
    bias: float = 0.75
    """Probability of a one if the source is biased."""
    broken: Literal["nothing", "aes", "mldsa", "mlkem"] = "nothing"
    """AES with one bit wrong; ML-DSA that accepts every signature; ML-KEM without implicit rejection."""
    pairwise: bool = False
    """Key pairs whose signatures do not verify."""
    life_cycle: int | None = None
    """What DIE STATUS says in the clear, whatever the truth is."""
    wrong_mac: bool = False
    """The MAC of every protected reply has a wrong bit."""
    short_mac: bool = False
    """The MAC of every protected reply has half its length."""
    long_replies: bool = False
    """Replies in the clear have a byte more than they should."""
    check_value: bool = False
    """PUT KEY answers wrong check values."""
    surviving_set: bool = False
    """DELETE KEY says that key set 30 is gone, and at the next reset it is there again."""
    sensor: bool = False
    """A sensor of the chip tells of light, a glitch or heat."""
    lost_slot: int | None = None
    """This key slot is empty after each reset."""
    endless: int | None = None
    """Commands with this INS never come to an end."""
    cloned_keys: bool = False
    """Makes the same key pairs as every other die with this fault."""


SOUND = ChipFaults()


class Chip:
    """A die with its memory, a few kilobytes; the firmware's context exists only under power and clock."""

    aside: Aside | None = None
    """Who makes its longest signatures; None: it does so itself."""

    def __init__(
        self,
        index: int,
        *,
        seed: str = "",
        latency: Profile = "qvault",
        payload: int = 4096,
        faults: ChipFaults = SOUND,
    ) -> None:
        self.index = index
        self.faults = faults
        self._seed = f"{seed}:{index}"
        self.memory = Memory(self._generator("memory"))
        self.latency = Latency(latency, self._generator("latency"))
        self._firmware: Firmware | None = None
        self._powered = False
        self._answered = 0
        self.check_values = 0
        """How many the command under way has computed."""
        self.made: dict[int, bytes] = {}
        """The last public key made, by algorithm."""
        if payload not in PAYLOADS:
            raise ValueError(f"payload {payload}: an se1 has 223, 1024 or 4096 bytes")
        code = PAYLOADS.index(payload)
        self.memory.bits |= {PAYLOAD_BIT + n for n in (0, 1) if code >> n & 1}

    @classmethod
    def from_sort(
        cls,
        index: int,
        *,
        seed: str = "",
        uid: bytes | None = None,
        latency: Profile = "qvault",
        payload: int = 4096,
        faults: ChipFaults = SOUND,
        state: LifeCycle = LifeCycle.TEST_UNLOCKED,
    ) -> Self:
        """A die as it comes to final test: PQP-0 done with development keys, then brought to `state`.

        `state` is RAW, TEST_LOCKED, TEST_UNLOCKED or OP_READY. The faults show only afterwards.
        """
        if state not in SORTED_STATES:
            raise ValueError(
                f"no die comes {state.name} from sort: {', '.join(s.name for s in SORTED_STATES)}"
            )
        chip = cls(index, seed=seed, payload=payload, latency=latency)
        chip.power(NOMINAL_VOLTS)
        chip.atr()
        place = transport.development_uid(index) if uid is None else uid
        if state is not LifeCycle.RAW:
            transport.load(chip._answer, place, payload=payload)
        if state in (LifeCycle.TEST_UNLOCKED, LifeCycle.OP_READY):
            transport.reopen(chip._answer, place)
        if state is LifeCycle.OP_READY:
            chip._answer(se1.command("SET STATUS", life_cycle=state))
        chip.power(None)
        chip.faults = faults
        return chip

    def _answer(self, command: bytes) -> bytes:
        return self.apdu(command)[0] or b""

    @property
    def life_cycle(self) -> LifeCycle:
        """The truth, as a fresh boot finds it; for tests."""
        return self._truth().life_cycle

    def public_keys(self) -> dict[Slot, bytes]:
        """The public keys of the slots that are VALID; for tests."""
        states = zip(SLOT_ALGORITHMS.items(), self._truth().slots, strict=True)
        return {slot: self.made[kind] for (slot, kind), state in states if state is SlotState.VALID}

    def _truth(self) -> DieStatus:
        """DIE STATUS of a copy, so that asking changes nothing."""
        twin = Chip(self.index)
        twin.memory.adopt(self.memory)
        twin.power(NOMINAL_VOLTS)
        twin.atr()
        return se1.die_status(se1.split(twin._answer(se1.command("DIE STATUS"))).data)

    def power(self, volts: float | None) -> None:
        """The supply has come to `volts`, or is gone (None); below 1.62 V the chip loses its RAM."""
        self._powered = volts is not None and volts >= MINIMUM_VOLTS
        if not self._powered:
            self.deactivate()

    def deactivate(self) -> None:
        """Clock and reset are taken away."""
        self._firmware = None

    def atr(self) -> bytes | None:
        """Reset; the answer to it, None without power or from a mute chip."""
        if not self._powered or self.faults.mute:
            return None
        self.memory.lost = False
        self._answered = 0
        if (slot := self.faults.lost_slot) is not None:
            self.memory.forget(SLOT_PAGES + 2 * (slot - 1), 2)
        self._firmware = Firmware(Hal(self))
        self.latency.take()
        return None if self.memory.lost else ATR

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        """Give the chip a command; its reply (None: mute) and the seconds that it takes."""
        limit = self.faults.mute_after
        if self._firmware is None or (limit is not None and self._answered >= limit):
            return None, 0.0
        self._answered += 1
        self.check_values = 0
        reply = self._firmware.apdu(command)
        seconds = self.latency.take()
        endless = self.faults.endless is not None and command[1:2] == bytes((self.faults.endless,))
        return self._disguised(command, reply), ENDLESS_S if endless else seconds

    def cut(self, cut: PowerCut | None) -> None:
        """Plan a power cut at a write; after it struck the chip is mute until the next reset."""
        self.memory.arm(cut)

    def _disguised(self, command: bytes, reply: bytes | None) -> bytes | None:
        if reply is None or len(reply) < 4:
            return reply
        if self.faults.life_cycle is not None and command[:4] == DIE_STATUS:
            return reply[:1] + bytes((self.faults.life_cycle,)) + reply[2:]
        if command[0] == PROTECTED:
            return self._spoilt(reply)
        return reply[:-2] + b"!" + reply[-2:] if self.faults.long_replies else reply

    def _spoilt(self, reply: bytes) -> bytes:
        if self.faults.wrong_mac:
            return reply[:-3] + bytes((reply[-3] ^ 1,)) + reply[-2:]
        return reply[:-10] + reply[-2:] if self.faults.short_mac else reply

    def _generator(self, name: str) -> Random:
        return Random(f"{self._seed}:{name}")

    @cached_property
    def noise(self) -> Random:
        """The noise source."""
        return self._generator("noise")

    @cached_property
    def period(self) -> bytes:
        """All that a repeating noise source says."""
        return self._generator("period").randbytes(256)

    @cached_property
    def drbg(self) -> Random:
        """What conditioned random bytes come from."""
        return self._generator("drbg")

    @cached_property
    def key_seeds(self) -> Random:
        """What fresh keys come from."""
        return Random("cloned") if self.faults.cloned_keys else self._generator("keys")


class Hal:
    """The firmware's peripherals."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._memory = chip.memory
        self._time = chip.latency
        self._aes = crypto.Aes()

    def nvm_read(self, page: int, count: int) -> bytes:
        return self._memory.read(page, count)

    def nvm_write(self, page: int, data: bytes) -> int:
        self._time.page()
        if self._chip.faults.surviving_set and page in SET_30_PAGES:
            return OK
        return OK if self._memory.write(page, data) else CUT

    def otp_read(self, bit: int) -> int:
        return self._memory.read_bit(bit)

    def otp_set(self, bit: int) -> int:
        return OK if self._memory.set_bit(bit) else CUT

    def random(self, n: int, *, raw: bool) -> bytes:
        self._time.symmetric("random", n)
        if not raw:
            return self._chip.drbg.randbytes(n)
        match self._chip.faults.trng:
            case "stuck":
                return bytes(n)
            case "biased":
                return _biased(self._chip.noise, n, self._chip.faults.bias)
            case "repeating":
                return (self._chip.period * (n // len(self._chip.period) + 1))[:n]
        return self._chip.noise.randbytes(n)

    def aes(self, op: int, key: bytes, iv: bytes, data: bytes) -> bytes:
        self._time.symmetric("aes", len(data))
        result = self._aes.run(op, key, iv, data)
        if self._chip.faults.broken == "aes":
            return result[:-1] + bytes((result[-1] ^ 1,))
        if self._chip.faults.check_value and data == CHECK_VALUE_INPUT:
            return self._check_value(result)
        return result

    def _check_value(self, right: bytes) -> bytes:
        self._chip.check_values += 1
        return right if self._chip.check_values <= CHECK_VALUES else bytes((right[0] ^ 1,)) + right[1:]

    def digest(self, key: bytes | None, data: bytes) -> bytes:
        self._time.symmetric("digest", len(data))
        return crypto.digest(key, data)

    def keypair(self, algorithm: int, seed: bytes | None) -> tuple[bytes, bytes]:
        self._time.asymmetric("keypair", algorithm, fresh=seed is None)
        size = LENGTHS[algorithm][0]
        private, public = crypto.keypair(algorithm, seed or self._chip.key_seeds.randbytes(size))
        self._chip.made[algorithm] = public
        return private, public

    def sign(self, algorithm: int, private: bytes, label: bytes, message: bytes) -> bytes:
        self._time.asymmetric("sign", algorithm)
        spoilt = b"!" if self._chip.faults.pairwise else b""
        made = partial(crypto.sign, algorithm, private, label, message + spoilt)
        if self._chip.aside is None or algorithm != Algorithm.MLDSA65:
            return made()
        return self._chip.aside.do(made, self._time.advance(LONGEST_S))

    def verify(self, algorithm: int, public: bytes, label: bytes, message: bytes, signature: bytes) -> bool:
        self._time.asymmetric("verify", algorithm)
        if algorithm == Algorithm.MLDSA65 and self._chip.faults.broken == "mldsa":
            return True
        return crypto.verify(algorithm, public, label, message, signature)

    def encaps(self, public: bytes) -> tuple[bytes, bytes]:
        self._time.asymmetric("encaps", Algorithm.MLKEM768)
        return crypto.encaps(public)

    def decaps(self, private: bytes, ciphertext: bytes) -> bytes:
        self._time.asymmetric("decaps", Algorithm.MLKEM768)
        secret = crypto.decaps(private, ciphertext)
        if self._chip.faults.broken == "mlkem" and secret == crypto.rejected(private, ciphertext):
            return bytes(len(secret))
        return secret

    def sensor(self) -> int:
        return self._chip.faults.sensor


def _biased(noise: Random, n: int, ones: float) -> bytes:
    bits = "".join("1" if noise.random() < ones else "0" for _ in range(8 * n))
    return int(bits, 2).to_bytes(n, "big") if n else b""
