"""The one place that chooses adapters: settings in, processes' parts out."""
