"""Tasks run by a person's own callable."""
