"""Probes and metrics of the processes that serve no HTTP otherwise: the worker, the projector.

Loaded only where a port was set for them.
"""
