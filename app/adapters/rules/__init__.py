"""Tasks run by templates and code: no network, same input same output."""
