"""Whole journeys, as a user makes them."""
