"""The files of a new model, as `hardbin equip new` makes them: whole and green from the start.

What is made speaks SCPI: identity, reset, error queue and safe state. The verbs of its role are there and say
that they are not written. Dialogues, driver, simulated machine and test belong together.
"""

import ast
import builtins
import collections.abc
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers import roles
from drivers.roles.resource import Resource
from station.equip import scaffold_text
from station.errors import ConfigError

WIDTH = 110
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


@dataclass(frozen=True)
class Safety:
    """How machines of a role are usually brought into their safe state."""

    role: str
    """The role's class."""
    units: tuple[str, ...]
    query: str = ""
    """What tells whether the output is still on; nothing where there is none."""


OFF = (":OUTP OFF",)
SAFETIES: Mapping[str, Safety] = {
    "counter": Safety("Counter", (":ABOR",)),
    "dmm": Safety("Dmm", (":ABOR",)),
    "generator": Safety("Generator", OFF, ":OUTP?"),
    "relays": Safety("Relays", (":ROUT:OPEN:ALL",)),
    "scope": Safety("Scope", (":STOP",)),
    "smu": Safety("Smu", OFF, ":OUTP?"),
    "supply": Safety("Supply", OFF, ":OUTP?"),
    "thermal": Safety("Thermal", OFF, ":OUTP?"),
}


@dataclass(frozen=True)
class Scaffold:
    """What a new model is called, and what its files hold."""

    role: str
    name: str
    """`<maker>_<model>`, as in `keithley_2450`."""

    @property
    def files(self) -> Mapping[str, str]:
        """Every file by its path."""
        words = self._words()
        texts = {
            f"drivers/{self.role}/{self.name}.py": scaffold_text.DRIVER,
            f"sim/{self.role}/{self.name}.py": scaffold_text.MACHINE,
            f"tests/simulated/{self.name}.py": scaffold_text.PLAYER,
            f"tests/drivers/{self.role}/test_{self.name}.py": scaffold_text.TEST,
            f"tests/dialogues/{self.name}/connects.txt": scaffold_text.CONNECTS,
            f"tests/dialogues/{self.name}/another_machine.txt": scaffold_text.ANOTHER,
            f"tests/dialogues/{self.name}/answer_lost.txt": scaffold_text.LOST,
        }
        if self._safety.query:
            texts[f"tests/dialogues/{self.name}/stays_on.txt"] = scaffold_text.STAYS_ON
        made = {path: _filled(text, words) for path, text in texts.items()}
        return {path: text.rstrip("\n") + "\n" for path, text in made.items()}

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """What must be added by hand, by the file where."""
        kind = self._words()["Class"]
        knobs = f"{kind}.knobs"
        return (
            ("pyproject.toml", f'{self.name} = "drivers.{self.role}.{self.name}:{kind}"'),
            ("sim/machines.py", f'"{self.name}": _alone({kind}, {knobs}),'),
        )

    @property
    def _safety(self) -> Safety:
        return SAFETIES[self.role]

    def _words(self) -> dict[str, str]:
        maker, _, model = self.name.partition("_")
        safety = self._safety
        say = ", ".join(f'"{unit}"' for unit in safety.units)
        ask = f', "{safety.query}"' if safety.query else ""
        said = ";".join((*safety.units, *filter(None, (safety.query,))))
        return {
            "Class": "".join(part.capitalize() for part in self.name.split("_")),
            "Role": safety.role,
            "role": self.role,
            "name": self.name,
            "Maker": maker.capitalize(),
            "MAKER": maker.upper(),
            "MODEL": model.upper().replace("_", "-"),
            "safe": scaffold_text.SAFE_ASKED if ask else scaffold_text.SAFE_TOLD,
            "units": say + ask,
            "query": safety.query,
            "said": said,
            "answer": "0;" if ask else "",
            "still": "1;" if ask else "",
            "verbs": "\n\n".join(_verbs(safety.role)),
            "imports": "\n".join(_imports(safety.role)),
            "roles": ", ".join(sorted({safety.role, *_own(safety.role)})),
            "settle": "        self.settle_s = 0.005\n" if safety.role == "Relays" else "",
            "parsed": ", parsed" if ask else "",
            "boolean": "from drivers.protocols.scpi import read_boolean\n" if ask else "",
            "machine": scaffold_text.OUTPUT if ask else scaffold_text.PLAIN,
            "switch": ", boolean" if ask else "",
            "table": self._table(),
            "reset": scaffold_text.OUTPUT_RESET if ask else scaffold_text.PLAIN_RESET,
            "given": ", `given output = on` its output" if ask else "",
            "on": scaffold_text.PLAYER_ON if ask else "",
            "more": scaffold_text.TEST_STAYS_ON if ask else "",
            "test_imports": "\n".join(sorted(self._test_imports())),
        }

    def _test_imports(self) -> Iterator[str]:
        kind = "".join(part.capitalize() for part in self.name.split("_"))
        yield f"from drivers.{self.role}.{self.name} import {kind}, {kind}Options"
        yield "from drivers.errors import EquipmentError"

    def _table(self) -> str:
        """The headers of the safe state, as a simulated machine knows them."""
        if self._safety.query:
            return scaffold_text.OUTPUT_TABLE
        return "".join(f'            "{unit}": lambda _: None,\n' for unit in self._safety.units)


def scaffold(role: str, name: str) -> Scaffold:
    """Check what a new model is called; ConfigError says what is allowed."""
    if role not in SAFETIES:
        raise ConfigError(f"role {role!r}: a new model can have the role {', '.join(SAFETIES)}")
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r}: write <maker>_<model> in small letters and digits, as keithley_2450")
    return Scaffold(role, name)


def written(made: Scaffold, folder: Path) -> list[Path]:
    """Write all files of a new model, or none; ConfigError if one exists, or this is no checkout."""
    if not (folder / "drivers" / made.role / "__init__.py").is_file():
        raise ConfigError(f"{folder} is not a checkout of hardbin: it has no drivers/{made.role}")
    paths = {folder / path: text for path, text in made.files.items()}
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path} exists: nothing was written")
    for path, text in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return list(paths)


# -- the verbs of a role, from its class
def _abstract(role: str) -> Iterator[tuple[str, ast.AsyncFunctionDef | ast.FunctionDef]]:
    kind: type[Resource] = getattr(roles, role)
    for name in sorted(kind.__abstractmethods__ - {"make_safe"}, key=list(vars(kind)).index):
        tree = ast.parse(textwrap.dedent(inspect.getsource(getattr(kind, name))))
        found = tree.body[0]
        if isinstance(found, ast.AsyncFunctionDef | ast.FunctionDef):
            yield name, found


def _verbs(role: str) -> Iterator[str]:
    """Write each verb with the signature of its role, and say that it is not written."""
    for name, found in _abstract(role):
        word = "async def" if isinstance(found, ast.AsyncFunctionDef) else "def"
        returns = ast.unparse(found.returns) if found.returns else "None"
        yield f'{_head(word, name, _arguments(found.args), returns)}\n        raise self._unwritten("{name}")'


def _head(word: str, name: str, arguments: list[str], returns: str) -> str:
    """Write a signature in as few lines as it fits into."""
    line = f"    {word} {name}({', '.join(arguments)}) -> {returns}:"
    if len(line) <= WIDTH:
        return line
    inner = f"        {', '.join(arguments)}"
    if len(inner) > WIDTH:
        inner = "\n".join(f"        {argument}," for argument in arguments)
    return f"    {word} {name}(\n{inner}\n    ) -> {returns}:"


def _arguments(found: ast.arguments) -> list[str]:
    positional = [*found.posonlyargs, *found.args]
    defaults = [None] * (len(positional) - len(found.defaults)) + list(found.defaults)
    texts = [_argument(one, default) for one, default in zip(positional, defaults, strict=True)]
    if found.kwonlyargs:
        texts.append("*")
    named = zip(found.kwonlyargs, found.kw_defaults, strict=True)
    return texts + [_argument(one, default) for one, default in named]


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    text = f"{one.arg}: {_quoted(ast.unparse(one.annotation))}" if one.annotation else one.arg
    return text if default is None else f"{text} = {_quoted(ast.unparse(default))}"


def _quoted(text: str) -> str:
    return text.replace("'", '"')


def _named(role: str) -> set[str]:
    """Return what the signatures of a role name, but for what needs no import."""
    return {
        node.id
        for _, found in _abstract(role)
        for part in (found.args, found.returns)
        if part is not None
        for node in ast.walk(part)
        if isinstance(node, ast.Name) and not hasattr(builtins, node.id)
    }


def _own(role: str) -> set[str]:
    """Return those that the roles bring."""
    return {name for name in _named(role) if name in roles.__all__}


def _imports(role: str) -> Iterator[str]:
    """Import those of the standard library."""
    named = _named(role) - _own(role)
    if containers := sorted(name for name in named if hasattr(collections.abc, name)):
        yield f"from collections.abc import {', '.join(containers)}"
    yield f"from typing import {', '.join(sorted({'Annotated', 'ClassVar', *named} - {*containers}))}"


def _filled(text: str, words: Mapping[str, str]) -> str:
    """Put the words in, twice: some of them have words in them."""
    for word, value in (*words.items(), *words.items()):
        text = text.replace(f"<{word}>", value)
    return text
