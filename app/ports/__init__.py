"""What the core needs from the world: a Protocol, its data and its errors."""
