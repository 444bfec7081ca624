"""Make docs/picture.svg from a run that has happened: `python docs/picture.py LOT_FOLDER`.

The upper half is the live display in the middle of the lot, the lower half is the summary at its end.
Both are drawn by the code that draws them on a terminal, from the journal and the report of the lot.
"""

import re
import sys
from collections.abc import Iterator
from io import StringIO
from itertools import takewhile
from pathlib import Path

from msgspec import json
from rich.console import Console

from station import events
from station.cli.progress import LiveProgress
from station.cli.summary import shown
from station.custody.journal import read
from station.report import LotReport

WIDTH = 100
COMMAND = "hardbin run --devices 640"


def main(folder: Path, picture: Path) -> None:
    """Draw the lot in `folder` into `picture`."""
    report = json.decode((folder / "report.json").read_bytes(), type=LotReport)
    console = Console(record=True, width=WIDTH, file=StringIO(), color_system="truecolor", highlight=False)
    console.print(f"[bold]$[/] {COMMAND}\n")
    console.print(_halfway(folder, report.tested))
    shown(report, console)
    svg = console.export_svg(title="hardbin", unique_id="hardbin")
    picture.write_text(_without_addresses(svg), "utf-8")


def _halfway(folder: Path, devices: int) -> LiveProgress:
    progress = LiveProgress(devices)
    for event in takewhile(lambda _: progress.sorted < 0.62 * devices, _history(folder)):
        progress.take(event)
    return progress


def _history(folder: Path) -> Iterator[events.Any]:
    return read(folder / "journal")


def _without_addresses(svg: str) -> str:
    """Leave the fonts to the reader's system: a picture fetches nothing."""
    svg = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "monospace")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("picture.svg"))
