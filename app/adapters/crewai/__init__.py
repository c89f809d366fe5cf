"""Tasks run by a CrewAI crew."""
