"""Crewline: event-driven AI agent workers on Kafka."""
