"""The log, the queue and the dead letters on Kafka."""
