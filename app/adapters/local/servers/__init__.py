"""Servers on this machine, for `crewline dev` and the tests; each lives as long as its owner."""
