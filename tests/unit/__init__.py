"""Rules and shapes, without a socket."""
