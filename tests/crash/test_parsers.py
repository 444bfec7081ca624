"""Whatever reads bytes of a chip, a peer or a file: it takes what is good, and refuses the rest in one way.

Each reader is given a good specimen, changed at some place, cut short or made longer; random bytes; deep
nests; and huge lengths. Nothing but its own error may come out, with a message of bounded length.
"""

import asyncio
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import DutError
from drivers.protocols import se1, se1_objects
from drivers.protocols.se1_table import ObjectType
from station import config, events
from station.custody import journal, seed_file
from station.errors import ConfigError, LedgerError, StorageError, TrustError, UntrustedError
from station.evidence import trust
from station.floor.keeping import told
from station.recipe.content import draft_of
from station.remote import trust as remote_trust
from station.vault import configuration
from station.vault.claims import Claims
from station.vault.desk.statement import signed
from station.vault.die import scp03
from station.vault.die.script import Answer, Script
from station.vault.faults import DoubtError
from station.vault.keys import frames, header
from station.vault.keys.errors import DamagedError, KeyStoreError, RequestError
from station.vault.keys.leases import Leases
from station.vault.keys.words import Health, Mode
from station.vault.relay import RelayError, steps_of
from station.vault.secret import Secret
from station.vault.wire import floor_pb2 as wire
from tests.firmware.host import Host, credentials, identity, personalise, ready
from tests.station.recipe.test_recipe import ANNA, BEN, DRAFT, TRUST, recipe
from tests.station.test_config import GOOD
from tests.station.vault.store_here import keys_in

DEEP = 20_000
MESSAGE_MAX = 2_000
MEMORY_MAX = 8 << 20
NONCE = bytes(range(32))
HEALTH = Health("active", "00", Mode.DEVELOPMENT, "soft", ("anna",), 1, 1, 3)


@dataclass(frozen=True)
class Reader:
    """What reads bytes, with some that it takes, and the one error that it may raise."""

    name: str
    read: Callable[[bytes], object]
    good: bytes
    error: type[Exception]
    takes: bool = True
    """Whether it takes the specimen; False if that lacks what only the reader's own tests have."""


class Specimens:
    """A die's true replies, and files as the vault wrote them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = ready()
        personalise(self.host, until="keys")
        asyncio.run(self._vault())

    async def _vault(self) -> None:
        keys = await keys_in(self.folder, 7, ("WO-1",))
        await keys.sign("ICA-EC-1", b"x", "WO-1")
        await keys._store.aclose()

    def readers(self) -> list[Reader]:
        return [*self._chip(), *self._channel(), *self._peers(), *self._files(), *self._floor()]

    def _chip(self) -> Iterator[Reader]:
        told: dict[str, Callable[[bytes], object]] = {
            "DIE STATUS": se1.die_status,
            "GET KEY INFO": se1.key_sets,
            "GET UID": se1.uid_of,
            "SELF TEST": se1.self_test,
            "TRNG HEALTH": se1.trng_health,
        }
        for name, read in told.items():
            yield Reader(name, read, self.host.do(name), DutError)
        yield Reader("SELECT", se1.payload_size, Host(self.host.chip).done(se1.select()), DutError)
        uid = self.host.uid
        yield Reader("slots", se1.slot_info, self._attestation()[173 : 173 + 162], DutError)
        yield Reader("new key", se1.new_key, bytes.fromhex("020007a0"), DutError)
        yield Reader("result length", se1.result_length, bytes.fromhex("000ced"), DutError)
        yield Reader("UID", se1_objects.decode_uid, uid, DutError)
        yield Reader("identity", se1_objects.decode_identity, identity(uid).encode(), DutError)
        yield Reader("container", se1_objects.decode_container, credentials(size=90), DutError)
        yield Reader("attestation", se1_objects.decode_attestation, self._attestation(), DutError)

    def _attestation(self) -> bytes:
        self.host.power()
        self.host.open()
        length = se1.result_length(self.host.do("INTERNAL AUTHENTICATE", kind=1, slot=2, nonce=NONCE))
        return self.host.read(ObjectType.RESULT, 0, length)

    def _channel(self) -> Iterator[Reader]:
        challenge = bytes(16)
        update = scp03.initialize_update(0x30, challenge)
        offer = se1.split(Host(self.host.chip).raw(update)).data

        def opened(data: bytes) -> None:
            scp03.open_session(self._keys(), challenge, data).close()

        def answered(data: bytes) -> None:
            session = scp03.open_session(self._keys(), challenge, offer)
            script = Script("S1", session)
            script.authenticate()
            script.secure("DIE STATUS", se1.command("DIE STATUS"))
            try:
                script.opened([Answer(b"", 0x9000), Answer(data, 0x9000)], ended=True)
            finally:
                session.close()

        yield Reader("offer", opened, offer, scp03.ChannelError)
        host = Host(self.host.chip)
        offer = se1.split(host.raw(update)).data
        session = scp03.open_session(self._keys(), challenge, offer)
        script = Script("S1", session)
        script.authenticate()
        script.secure("DIE STATUS", se1.command("DIE STATUS"))
        reply = [se1.split(host.raw(step.apdu)).data for step in script.steps][-1]
        session.close()
        yield Reader("protected reply", answered, reply, DoubtError)

    def _keys(self) -> scp03.KeySet:
        enc, mac, dek = map(Secret, self.host.keys(0x30))
        return scp03.KeySet(0x30, enc, mac, dek)

    def _peers(self) -> Iterator[Reader]:
        claim = b'{"event":"unit.binned","unit":"L1/1","lot":"L1","at":1.5,"data":{"bin":1,"kind":"pass"}}'
        yield Reader("claims", lambda data: Claims.read("cell", 0, [data]), claim, LedgerError)
        step = wire.Step(apdu=b"\x80\x50", expect=[0x9000], budget_ms=5)
        script = wire.Script(number=1, label="S0", steps=[step, wire.Step(reset=wire.Reset())])

        def steps(data: bytes) -> object:
            try:
                return steps_of(wire.Script.FromString(data))
            except DecodeError as error:  # gRPC ends the call
                raise RelayError("no message") from error

        yield Reader("script", steps, script.SerializeToString(), RelayError)
        answer = bytes(frames.frame((1, "ok", HEALTH))[4:])
        yield Reader("answer", lambda d: frames.value_of(bytearray(d), Health), answer, KeyStoreError)
        yield Reader("frames", lambda d: [*frames.Frames().fed(d)], bytes(frames.frame((1,))), RequestError)

    def _files(self) -> Iterator[Reader]:
        store = self.folder / "keys" / "keys.hbks"
        yield Reader("store", lambda data: header.parse(data, "keys"), store.read_bytes(), DamagedError)
        yield self._file("leases", self._leased, self._leases(), DamagedError)
        yield self._file("vault.toml", configuration.load, b'mode = "development"\n[ledger]\n', ConfigError)
        yield self._file("station.toml", config.load, GOOD.encode(), ConfigError)
        yield self._file("journal", lambda path: [*journal.read(path)], self._journal(), StorageError)
        empty = b'{"v":1,"mode":"development","roots":[],"logs":[],"records":[]}'
        yield replace(self._file("trust", trust.read, empty, TrustError), takes=False)
        seed_file.create(self.folder / "seeds", "log.example/1")
        yield self._file("seeds", seed_file.read, (self.folder / "seeds").read_bytes(), ConfigError)

    def _floor(self) -> Iterator[Reader]:
        path = self.folder / "draft"
        path.write_text(DRAFT)
        released = signed(recipe(path), [key for person in (ANNA, BEN) for key in person.both()])
        yield Reader("recipe", lambda data: TRUST.believed(data, 1500), released, UntrustedError)
        yield self._file("recipe draft", draft_of, DRAFT.encode(), ConfigError)
        keys = f'[[key]]\nkid = "mes#1"\nroles = ["host"]\ned25519 = "{"0a" * 32}"\n'
        yield self._file("trust of commands", remote_trust.load, keys.encode(), ConfigError)
        event = b'{"id":"L1/1.0","source":"/hardbin/v1/a/b","type":"lot.started",'
        event += b'"time":"2026-11-22T08:10:00.000Z","subject":"L1","data":{"a":[1]}}'
        topic = "hardbin/v1/a/b/evt/lot.started"
        yield Reader("event", lambda data: told(topic, data, b"1"), event, ValueError)

    def _leases(self) -> bytes:
        path = self.folder / "leases"
        leases = Leases(path, Secret(bytes(32)), {})
        leases.open()
        leases.take(("K-1", None), ("K-2", 1000))
        leases.close()
        return path.read_bytes()

    def _leased(self, path: Path) -> None:
        leases = Leases(path, Secret(bytes(32)), {})
        leases.open()
        leases.close()

    def _journal(self) -> bytes:
        path = self.folder / "journal"

        async def write() -> None:
            written = journal.Journal(path, reserve_bytes=0)
            written.open()
            intended = events.Intended(at=1.5, unit="L1/1", part=1, site=1, session="00")
            await written.commit(intended, intended)
            written.close()

        asyncio.run(write())
        return path.read_bytes()

    def _file(self, name: str, read: Callable[[Path], object], good: bytes, error: type[Exception]) -> Reader:
        path = self.folder / f"read-{name}"
        path.touch(0o600)

        def of_bytes(data: bytes) -> object:
            path.write_bytes(data)
            return read(path)

        return Reader(name, of_bytes, good, error)


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> list[Reader]:
    return Specimens(tmp_path_factory.mktemp("readers")).readers()


def test_each_reader_takes_its_specimen(readers: list[Reader]) -> None:
    for reader in readers:
        if reader.takes:
            reader.read(reader.good)


def refused_or_taken(reader: Reader, data: bytes) -> None:
    try:
        reader.read(data)
    except reader.error as error:
        assert len(str(error)) < MESSAGE_MAX, reader.name


@st.composite
def changed(draw: st.DrawFn, good: bytes) -> bytes:
    """The specimen with one piece replaced, cut out, or put in, or its end cut off; or nothing of it."""
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 8)))
    piece = draw(st.binary(max_size=24))
    return draw(st.sampled_from((good[:start] + piece + good[end:], good[:start], good + piece, piece)))


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_not_taken_is_refused_by_one_error(readers: list[Reader], data: st.DataObject) -> None:
    reader = data.draw(st.sampled_from(readers).map(lambda one: one))
    refused_or_taken(reader, data.draw(changed(reader.good)))


@pytest.mark.parametrize("nest", [b"[", b'{"a":', b'{"data":{"a":[', b"[[", b"\x91", b"\x81\xa1a"])
def test_deep_nests_are_refused(readers: list[Reader], nest: bytes) -> None:
    for reader in readers:
        refused_or_taken(reader, nest * DEEP)
        refused_or_taken(reader, b"a = " + nest * DEEP)
        refused_or_taken(reader, b'{"data":' + nest * DEEP)


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\xff\xff\xff"])
def test_huge_lengths_ask_for_no_memory(readers: list[Reader], length: bytes) -> None:
    """A length is believed only as far as there are bytes."""
    for reader in readers:
        tracemalloc.start()
        try:
            for place in range(0, min(len(reader.good), 64)):
                refused_or_taken(reader, reader.good[:place] + length + reader.good[place + 4 :])
            assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX, reader.name
        finally:
            tracemalloc.stop()
