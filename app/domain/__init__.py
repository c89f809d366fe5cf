"""What Crewline is about: a pure model, and the use cases that speak to ports."""
