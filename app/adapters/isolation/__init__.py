"""Runs in child processes: what goes wrong in one ends that run and nothing else."""
