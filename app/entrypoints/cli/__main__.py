"""`python -m app.entrypoints.cli`: the same as `crewline`."""

from app.entrypoints.cli import main

main()
