"""The witness: its answers, that it never goes back, and HTTP around it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from station.custody import durable_file, merkle, witness_server
from station.custody.checkpoint import Checkpoint, Note, Signature, signatures
from station.custody.log_keys import signatures_by, time_of
from station.custody.merkle import Tree, leaf_hash
from station.custody.witness import SIZE_TYPE, Submission, Witness
from station.custody.witness_client import WitnessUnreachableError, cosigned
from station.custody.witness_server import WitnessServer
from station.errors import LedgerError
from tests.station.custody.ledgers import LOG, NOW_S, ORIGIN, WITNESS, now, witness_signer

LOG_KEYS = [signer.key for signer in LOG.signers()]
KEY = witness_signer().key


def grown(count: int, fork_at: int = -1) -> Tree:
    tree = Tree()
    for number in range(count):
        tree.append(leaf_hash(b"%d %d" % (number, number == fork_at)))
    return tree


TREE = grown(200)
FORK = grown(200, fork_at=5)


def note(size: int, tree: Tree = TREE, origin: str = ORIGIN) -> Note:
    head = Checkpoint(origin, size, tree.root(size))
    return Note(head, tuple(signer.signature(head, NOW_S) for signer in LOG.signers()))


def body(old: int, size: int, tree: Tree = TREE) -> bytes:
    return Submission(old, tuple(merkle.consistency(tree.node, old, size)), note(size, tree)).encode()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path, LOG_KEYS, witness_signer(), now)


def test_it_signs_what_follows(witness: Witness) -> None:
    for old, size in ((0, 10), (10, 10), (10, 64), (64, 150)):
        answer = witness.add_checkpoint(body(old, size))
        assert (answer.status, answer.kind) == (200, "text/plain; charset=utf-8")
        (line,) = signatures(answer.body)
        assert KEY.verifies(note(size).checkpoint, line)
        assert time_of(line) == NOW_S


def test_a_log_may_begin_anywhere(witness: Witness) -> None:
    assert witness.add_checkpoint(body(0, 150)).status == 200


def test_its_refusals(witness: Witness) -> None:
    assert witness.add_checkpoint(body(0, 50)).status == 200
    stranger = Note(note(60).checkpoint, (witness_signer().signature(note(60).checkpoint, NOW_S),))
    forged = note(60).extended(Signature(ORIGIN, LOG_KEYS[0].id, bytes(64)))
    unknown = Submission(0, (), note(60, origin="other.example"))
    cases: list[tuple[bytes, int]] = [
        (unknown.encode(), 404),
        (Submission(50, (), stranger).encode(), 403),
        (Submission(50, (), forged).encode(), 403),
        (Submission(61, (), note(60)).encode(), 400),
        (body(40, 60), 409),
        (body(0, 60), 409),
        (body(50, 60, FORK), 422),
        (Submission(50, (), note(60)).encode(), 422),
        (Submission(50, (TREE.root(3),), note(50)).encode(), 422),
        (body(50, 50, FORK), 409),
    ]
    for request, status in cases:
        answer = witness.add_checkpoint(request)
        assert answer.status == status, answer
        if status == 409:
            assert (answer.body, answer.kind) == ("50\n", SIZE_TYPE)
    assert witness.add_checkpoint(body(50, 60)).status == 200


@pytest.mark.parametrize(
    "bend",
    [
        lambda data: b"",
        lambda data: data.replace(b"old 10", b"old 010"),
        lambda data: data.replace(b"old 10", b"old -1"),
        lambda data: data.replace(b"old 10", b"new 10"),
        lambda data: data.replace(b"old 10\n", b"old 10\r\n"),
        lambda data: data.replace(b"old 10\n", b"old 10\nAAAA\n"),
        lambda data: data.replace(
            b"old 10\n", b"old 10\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 63
        ),
        lambda data: data.replace(b"old 10\n", b"old 10\n\n"),
        lambda data: data[:-1],
        lambda data: b"\xff" + data,
    ],
)
def test_what_is_no_request_is_refused(witness: Witness, bend: object) -> None:
    witness.add_checkpoint(body(0, 10))
    assert callable(bend)
    assert witness.add_checkpoint(bend(body(10, 20))).status == 400
    assert witness.add_checkpoint(body(10, 20)).status == 200


def test_it_remembers_and_never_goes_back(tmp_path: Path) -> None:
    Witness(tmp_path, LOG_KEYS, witness_signer(), now).add_checkpoint(body(0, 100))
    again = Witness(tmp_path, LOG_KEYS, witness_signer(), now)
    assert again.add_checkpoint(body(0, 50)).status == 409
    assert again.add_checkpoint(body(50, 60)).status == 409
    assert again.add_checkpoint(body(100, 120, FORK)).status == 422
    assert again.add_checkpoint(body(100, 120)).status == 200


def test_what_cannot_be_kept_is_not_signed(
    witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    replace = durable_file.replace

    def kept(path: Path, data: bytes) -> None:
        order.append(path.name)
        if len(order) == 2:
            raise OSError(28, "No space left on device")
        replace(path, data)

    monkeypatch.setattr(durable_file, "replace", kept)
    assert witness.add_checkpoint(body(0, 10)).status == 200
    refused = witness.add_checkpoint(body(10, 20))
    assert (refused.status, "No space left" in refused.body) == (500, True)
    assert witness.add_checkpoint(body(10, 20, FORK)).status == 422
    assert witness.add_checkpoint(body(10, 20)).status == 200
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_memory_is_not_taken_for_none(tmp_path: Path) -> None:
    Witness(tmp_path, LOG_KEYS, witness_signer(), now).add_checkpoint(body(0, 100))
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"")
    with pytest.raises(LedgerError, match=path.name):
        Witness(tmp_path, LOG_KEYS, witness_signer(), now)


def test_a_witness_signs_with_mldsa44(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="signs with ML-DSA-44"):
        Witness(tmp_path, LOG_KEYS, WITNESS.signers()[0], now)


# -- HTTP
@pytest.fixture
def url(witness: Witness) -> Iterator[str]:
    server = WitnessServer(witness)
    server.start()
    yield server.url
    server.stop()


def posted(url: str, data: bytes, path: str = "/add-checkpoint") -> tuple[int, str, str]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    connection.request("POST", path, data)
    response = connection.getresponse()
    found = response.status, response.headers["Content-Type"], response.read().decode()
    connection.close()
    return found


def test_a_log_gets_its_checkpoint_signed(url: str) -> None:
    signed = cosigned(url, note(40), TREE.node, [KEY])
    assert set(signatures_by(signed, [*LOG_KEYS, KEY])) == {*LOG_KEYS, KEY}
    # a log that does not know what the witness holds is told, and comes again with the proof
    assert len(cosigned(url, note(90), TREE.node, [KEY]).signatures) == 3
    assert len(cosigned(url, note(120), TREE.node, [KEY], old=90).signatures) == 3


def test_a_log_that_forks_or_goes_back_is_told(url: str) -> None:
    cosigned(url, note(40), TREE.node, [KEY])
    with pytest.raises(LedgerError, match="refused with 422"):
        cosigned(url, note(90, FORK), FORK.node, [KEY])
    with pytest.raises(LedgerError, match="the log has forked"):
        cosigned(url, note(40, FORK), FORK.node, [KEY])
    with pytest.raises(LedgerError, match="holds 40 leaves, the checkpoint 30"):
        cosigned(url, note(30), TREE.node, [KEY])


def test_a_log_trusts_no_other_key(url: str) -> None:
    with pytest.raises(LedgerError, match="no signature of a key that is trusted"):
        cosigned(url, note(40), TREE.node, LOG_KEYS)


def test_a_witness_that_is_not_there(witness: Witness) -> None:
    server = WitnessServer(witness)
    url = server.url
    server.start()
    server.stop()
    with pytest.raises(WitnessUnreachableError, match=url):
        cosigned(url, note(40), TREE.node, [KEY])
    for wrong in ("ftp://w1.example", "w1.example", "http://"):
        with pytest.raises(LedgerError, match="a witness is http"):
            cosigned(wrong, note(40), TREE.node, [KEY])


def test_there_is_one_path_one_method_and_a_bound(url: str) -> None:
    assert posted(url, body(0, 10), "/")[0] == 404
    assert posted(url, b"x" * (witness_server.BODY_BYTES + 1))[0] == 413
    assert posted(url, b"x")[0] == 400
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", "/add-checkpoint")
    assert connection.getresponse().status == 501
    connection.close()
    for head in (b"Content-Length: x", b"Content-Length: -5", b"Transfer-Encoding: chunked"):
        with socket.create_connection((parts.hostname, parts.port)) as raw:
            raw.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n" + head + b"\r\n\r\n")
            assert raw.recv(64).startswith(b"HTTP/1.1 411 ")


def test_a_connection_serves_many_requests(url: str) -> None:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    for old, size, status in ((0, 10, 200), (10, 20, 200), (10, 30, 409), (20, 30, 200)):
        connection.request("POST", "/add-checkpoint", body(old, size))
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


def test_posts_that_come_together_leave_one_history(url: str, witness: Witness) -> None:
    """Of many that begin at one size one is signed; the others are told what is held now."""
    assert posted(url, body(0, 10))[0] == 200
    answers: list[tuple[int, str, str]] = []
    requests = [body(10, 11 + number, TREE if number % 2 else FORK) for number in range(16)]
    threads = [
        threading.Thread(target=lambda data=data: answers.append(posted(url, data))) for data in requests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(status for status, _, _ in answers)
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 422}
    held = {text for status, _, text in answers if status == 409}
    assert len(held) <= 1
    assert witness.add_checkpoint(body(10, 11)).status == 409


def test_connections_are_bounded(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness_server, "CONNECTIONS", 1)
    server = WitnessServer(witness)
    server.start()
    parts = urlsplit(server.url)
    first = HTTPConnection(parts.hostname or "", parts.port)
    first.request("POST", "/add-checkpoint", body(0, 10))
    response = first.getresponse()
    response.read()
    with socket.create_connection((parts.hostname, parts.port)) as second:
        second.sendall(b"POST ")
        with suppress(ConnectionResetError):
            assert second.recv(1) == b""
    first.close()
    server.stop()
