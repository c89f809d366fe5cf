"""The proof that nothing is lost and nothing takes effect twice, whatever breaks meanwhile."""
