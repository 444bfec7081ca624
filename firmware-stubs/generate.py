"""Write what is generated from `se1/commands.toml`: the C header of the stub and the Python command table.

`python firmware-stubs/generate.py` writes both; with `--check` it writes nothing and fails if they differ.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Table = Mapping[str, Any]  # a table of commands.toml

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "se1" / "commands.toml"
HEADER = HERE / "se1" / "se1_commands.h"
PYTHON = HERE.parent / "drivers" / "protocols" / "se1_table.py"

ENUMERATIONS = {  # table of the TOML file -> Python class, its docstring, prefix in C, base class
    "life_cycle": ("LifeCycle", "What the die has become; one way only.", "STATE", "IntEnum"),
    "algorithms": ("Algorithm", "High byte: family; low byte: parameter set.", "ALG", "IntEnum"),
    "slots": ("Slot", "Where keys live.", "SLOT", "IntEnum"),
    "slot_states": ("SlotState", "What a slot holds.", "SLOT_STATE", "IntEnum"),
    "slot_attributes": ("SlotAttribute", "What a key is and may do.", "ATTRIBUTE", "IntFlag"),
    "key_sets": ("KeySet", "Key versions of the secure channel.", "KEYSET", "IntEnum"),
    "objects": ("ObjectType", "What READ names and containers carry.", "OBJECT", "IntEnum"),
    "containers": ("ContainerKind", "Kinds of HBC1 containers.", "CONTAINER", "IntEnum"),
    "tokens": ("Token", "Kinds of VERIFY TOKEN.", "TOKEN", "IntEnum"),
    "kats": ("Kat", "Known-answer tests of RUN KAT.", "KAT", "IntEnum"),
    "status_words": ("StatusWord", "What a command may answer.", "SW", "IntEnum"),
}
SIZES = {"u8": 1, "u16": 2, "u24": 3, "u32": 4, "u64": 8}
NOTE = "Generated from firmware-stubs/se1/commands.toml by firmware-stubs/generate.py; do not edit."


def size(layout: list[list[str]]) -> tuple[int, bool]:
    """Bytes that a layout takes at least, and whether that is exact."""
    kinds = [kind for _, kind in layout]
    fixed = sum(SIZES[kind] if kind in SIZES else int(kind[6:]) for kind in kinds if kind != "bytes:*")
    return fixed, "bytes:*" not in kinds


def identifier(name: str) -> str:
    """Spell a command's name as a C or Python constant."""
    return name.upper().replace(" ", "_")


def number(value: int, width: int = 2) -> str:
    """Spell a number as the hand-written sources do."""
    return f"0x{value:0{width}X}"


def header(table: Table) -> str:
    """The C header: constants, and the command table as a static const array."""
    return "\n".join([*constants(table), "", *rows(table), ""])


def constants(table: Table) -> Iterator[str]:
    """Every number of the TOML file as a macro."""
    yield f"/* {NOTE} */"
    yield from ("#ifndef SE1_COMMANDS_H", "#define SE1_COMMANDS_H", "", "#include <stdint.h>", "")
    yield f"#define SE1_AID {braces(bytes.fromhex(table['aid']))}"
    yield f"#define SE1_ATR {braces(bytes.fromhex(table['atr']))}"
    scp = table["scp"]
    for key in ("id", "i", "level"):
        yield f"#define SE1_SCP_{key.upper()} {number(scp[key])}u"
    for index, payload in enumerate(table["limits"]["payload"]):
        yield f"#define SE1_PAYLOAD_{index} {payload}u"
    for key, value in table["limits"].items():
        if key != "payload":
            yield f"#define SE1_LIMIT_{key.upper()} {value}u"
    for key, (_, _, prefix, _) in ENUMERATIONS.items():
        yield ""
        for name, value in table[key].items():
            yield f"#define SE1_{prefix}_{name} {number(value)}u"
    yield ""
    slots = [table["slots"][name] for name in table["personalisation"]["slots"]]
    yield f"#define SE1_PERSONALISED_SLOTS {braces(bytes(slots))}"


def braces(data: bytes) -> str:
    """Spell bytes as a C initialiser."""
    return "{" + ", ".join(number(byte) for byte in data) + "}"


def rows(table: Table) -> Iterator[str]:
    """The command table in C."""
    states = list(table["life_cycle"])
    yield "/* P1 or P2 of a command is a fixed value, or (SE1_ANY) the command's business. */"
    yield "#define SE1_ANY 0x100u"
    for index, name in enumerate(states):
        yield f"#define SE1_IN_{name} {number(1 << index, 4)}u"
    yield "#define SE1_CHANNEL_PLAIN 1u"
    yield "#define SE1_CHANNEL_SECURE 2u"
    yield "#define SE1_CHANNEL_EITHER 3u"
    yield ""
    yield "typedef enum {"
    for name in table["command"]:
        yield f"  SE1_{identifier(name)},"
    yield "  SE1_COMMANDS"
    yield "} se1_command_id;"
    yield ""
    yield "typedef struct {"
    yield "  uint8_t cla, ins;"
    yield "  uint16_t p1, p2;"
    yield "  uint8_t channel;"
    yield "  uint16_t length;    /* of the data field, at least */"
    yield "  uint8_t exact;      /* 1: and no more */"
    yield "  uint16_t states;"
    yield "} se1_command_row;"
    yield ""
    yield "#define SE1_COMMAND_ROWS { \\"
    for name, command in table["command"].items():
        yield f"  /* {name} */ \\"
        yield f"  {row(command)}, \\"
    yield "}"
    yield ""
    yield "#endif"


def row(command: Table) -> str:
    """One row of the command table in C."""
    p1, p2 = (parameter(command.get(key, 0)) for key in ("p1", "p2"))
    length, exact = size(command.get("data", []))
    states = " | ".join(f"SE1_IN_{name}" for name in command["states"])
    return (
        f"{{{number(command.get('cla', 0x80))}, {number(command['ins'])}, {p1}, {p2}, "
        f"SE1_CHANNEL_{command['channel'].upper()}, {length}, {int(exact)}, {states}}}"
    )


def parameter(value: int | str) -> str:
    """Spell P1 or P2 in C."""
    return "SE1_ANY" if isinstance(value, str) else number(value)


PRELUDE = f'''"""The command table of the chip `se1`.

{NOTE}
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple


class Command(NamedTuple):
    """One row: how a command goes out, what it answers; P1 or P2 is a number or a parameter's name."""

    cla: int
    ins: int
    p1: int | str
    p2: int | str
    channel: str
    states: tuple[str, ...]
    data: tuple[tuple[str, str], ...]
    reply: tuple[tuple[str, str], ...]
    sw: tuple[str, ...]
    forward: bool
    budget_ms: int
'''


def python(table: Table) -> str:
    """The Python command table."""
    lines = [PRELUDE]
    for key, (name, docstring, _, base) in ENUMERATIONS.items():
        lines += ["", f"class {name}({base}):", f'    """{docstring}"""', ""]
        width = 4 if max(table[key].values()) > 0xFF else 2
        lines += [f"    {member} = {number(value, width)}" for member, value in table[key].items()]
        lines.append("")
    lines += ["", *scalars(table), "", "COMMANDS: dict[str, Command] = {"]
    for name, command in table["command"].items():
        lines += python_row(name, command)
    return "\n".join([*lines, "}", ""])


def scalars(table: Table) -> Iterator[str]:
    """What is one number or one string."""
    yield f'CHIP = "{table["chip"]}"'
    yield f'AID = bytes.fromhex("{table["aid"]}")'
    yield f'ATR = bytes.fromhex("{table["atr"]}")'
    for key, value in table["scp"].items():
        yield f"SCP_{key.upper()} = {number(value) if key in ('id', 'i', 'level') else value}"
    for key, value in table["limits"].items():
        yield f"{key.upper()}_{'SIZES' if key == 'payload' else 'LIMIT'} = {literal(value)}"
    yield "PERSONALISED_SLOTS = ("
    yield from (f"    Slot.{name}," for name in table["personalisation"]["slots"])
    yield ")"


def literal(value: int | str | list[Any]) -> str:
    """Spell a value in Python, lists as tuples, strings in double quotes."""
    match value:
        case str():
            return f'"{value}"'
        case [only]:
            return f"({literal(only)},)"
        case list():
            return "(" + ", ".join(literal(item) for item in value) + ")"
    return str(value)


def python_row(name: str, command: Table) -> Iterator[str]:
    """One row of the command table in Python, formatted as the formatter leaves it."""
    yield f'    "{name}": Command('
    yield f"        cla={number(command.get('cla', 0x80))},"
    yield f"        ins={number(command['ins'])},"
    for key in ("p1", "p2"):
        value = command.get(key, 0)
        yield f"        {key}={literal(value) if isinstance(value, str) else number(value)},"
    yield f'        channel="{command["channel"]}",'
    for key in ("states", "data", "reply", "sw"):
        yield from sequence(key, command.get(key, []))
    yield f"        forward={command.get('forward', False)},"
    yield f"        budget_ms={command['budget_ms']},"
    yield "    ),"


def sequence(key: str, items: list[Any]) -> Iterator[str]:
    """A tuple on one line if it fits, else one item a line."""
    line = f"        {key}={literal(items)},"
    if len(line) <= 110:
        yield line
        return
    yield f"        {key}=("
    for item in items:
        yield f"            {literal(item)},"
    yield "        ),"


def outputs() -> dict[Path, str]:
    """What each generated file must hold."""
    table = tomllib.loads(SOURCE.read_text())
    return {HEADER: header(table), PYTHON: python(table)}


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` compare them."""
    stale = [path for path, text in outputs().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" not in arguments:
            path.write_text(outputs()[path])
        sys.stdout.write(f"{path.name}: {'differs' if '--check' in arguments else 'written'}\n")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
