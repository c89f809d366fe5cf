"""What the product must do, as programs."""
