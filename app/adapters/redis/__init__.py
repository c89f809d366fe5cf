"""Limits that several processes share, in Redis or what speaks its protocol, as Valkey does."""
