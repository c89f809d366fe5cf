"""Tasks run by a CrewAI crew.

Whatever module of this package is imported first, CrewAI's surroundings are set before CrewAI is.
"""

from app.adapters.crewai.surroundings import settle

settle()
