"""What the page about served simulators shows: `python -m tests.docs.served_client RESOURCE`."""

import sys
from typing import Any

import pyvisa


def main(resource: str) -> None:
    """Ask a served machine who it is."""
    manager: Any
    manager = pyvisa.ResourceManager("@py")
    smu = manager.open_resource(resource, read_termination="\n", write_termination="\n")
    print(smu.query("*IDN?"))  # noqa: T201 - its output
    manager.close()


if __name__ == "__main__":
    main(sys.argv[1])
