"""The resources the gateway serves, one file each."""
