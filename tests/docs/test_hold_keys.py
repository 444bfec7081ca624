"""The ceremony that the how-to walks through, typed as it stands there, against real processes."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from station.cli.codes import Exit
from tests.station.vault.keys.stores import PASSPHRASES, files

PAGE = (Path(__file__).parent.parent.parent / "docs/how-to/hold-keys.md").read_text("utf-8")
SECTION = PAGE.partition("### By a ceremony")[2].partition("\n##")[0]
LATER = PAGE.partition("### Have it certified")[2].partition("\n## ")[0]
OFFICERS = {"dora": b"planted officer 1", "emil": b"planted officer 2"}
STEPS, MAKES, OPENS = 19, 2, 3


def shown(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    return [shlex.split(block.replace("\\\n", " ").removeprefix("$ ")) for block in shown("console")]


def answers() -> bytes:
    said = [b"passphrase of %s = %s" % (name.encode(), word) for name, word in OFFICERS.items()]
    for step in range(1, STEPS + 1):
        said += [b"%s confirms step %d = yes" % (name.encode(), step) for name in OFFICERS]
        if step == MAKES:
            said += [b"passphrase of custodian %s = %s" % (n.encode(), w) for n, w in PASSPHRASES.items()]
        if step == OPENS:
            for name in ("anna", "cleo"):
                said.append(b"custodian = " + name.encode())
                said.append(b"passphrase of custodian %s = %s" % (name.encode(), PASSPHRASES[name]))
    return b"\n".join(said) + b"\n"


def test_the_plans_of_the_page_can_be_made(tmp_path: Path) -> None:
    blocks = re.findall(r"^```console\n(.*?)^```", LATER, re.MULTILINE | re.DOTALL)
    typed = [
        shlex.split(line.removeprefix("$ "))
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
    ]
    plans = [words for words in typed if words[2:4] == ["ceremony", "plan"]]
    assert [words[4] for words in plans] == ["init-root", "issue-ica", "import-ica", "load-product"]
    for words in plans:
        made = run(words, tmp_path)
        assert made.returncode == Exit.OK, made.stderr
        assert made.stdout.startswith(f"Ceremony {words[4]}: ")


def run(words: Sequence[str], folder: Path, fd: int | None = None) -> "subprocess.CompletedProcess[str]":
    typed = [str(folder / "keys") if word == "/srv/keys" else word for word in words[1:]]
    more = [] if fd is None else ["--answers-fd", str(fd)]
    return subprocess.run(
        [sys.executable, "-m", "station.cli", *typed, *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
        pass_fds=[] if fd is None else [fd],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_ceremony_of_the_page(tmp_path: Path) -> None:
    plan, carry_out, verify = commands()
    planned = run(plan, tmp_path)
    assert planned.returncode == Exit.OK, planned.stderr
    step, dumped = shown("text")
    assert step in planned.stdout
    whole = answers()
    cut = whole.index(b"dora confirms step 9 ")
    for number, (words, said) in enumerate(
        ((carry_out, whole[:cut]), ([*carry_out[:3], "resume", carry_out[4]], resumed(whole, cut)))
    ):
        ours, theirs = os.pipe()
        os.write(theirs, said)
        os.close(theirs)
        done = run(words, tmp_path, ours)
        os.close(ours)
        assert done.returncode == (Exit.INTERRUPTED, Exit.OK)[number], done.stderr
    checked = run(verify, tmp_path)
    assert checked.returncode == Exit.OK, checked.stderr
    assert "19 steps" in checked.stdout
    printed = (tmp_path / "ceremonies/init-vault/transcript.txt").read_text("utf-8")
    for line in dumped.splitlines():
        assert line in printed
    for secret in (*OFFICERS.values(), *PASSPHRASES.values()):
        assert secret not in files(tmp_path)


def resumed(whole: bytes, cut: int) -> bytes:
    """Who went on: the officers say who they are, and custodians open the store once more."""
    lines = whole.splitlines(keepends=True)
    opening = lines[lines.index(b"custodian = anna\n") :][:4]
    step = whole[cut:].splitlines(keepends=True)
    return b"".join([*lines[:2], *step[:2], *opening, *step[2:]])
