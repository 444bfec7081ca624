"""`python -m station.cli` is `hardbin`."""

from station.cli import main

main()
