"""Speed, always beside a raw aiokafka loop and a peer, in the same run on the same broker."""
