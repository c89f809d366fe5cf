"""This machine: its clock, its files, and the servers `crewline dev` starts."""
