"""How every Kafka client of ours reaches the broker, and the defaults that are safe here."""

import ssl
from dataclasses import dataclass, field
from typing import Any

from aiokafka.helpers import create_ssl_context

from app.adapters.kafka.header_names import read_any_header_name
from app.adapters.kafka.inflating import inflate_no_further
from app.adapters.kafka.lost_connections import outlive_lost_connections
from app.adapters.kafka.oauth import ClientCredentials, ClientCredentialsProvider

Settings = dict[str, Any]
"""Keyword arguments of an aiokafka client."""

_BROKER_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the brokers are, who we are to them, and what they can do.

    `embedded` stands for the broker of `crewline dev`: it keeps all in memory, knows no idempotent
    producers and no transactions, and answers a waiting fetch late.
    """

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    oauth: ClientCredentials | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_key_password: str | None = field(default=None, repr=False)
    client_id: str = "crewline"
    embedded: bool = False
    max_message_bytes: int = 1_000_000
    compression: str | None = None
    request_timeout: float = 10.0
    """Seconds the broker has for one answer."""
    session_timeout: float = 10.0
    """Seconds after which a silent member of a group loses its partitions."""
    max_poll_interval: float = 300.0
    """Seconds after which a member that does not poll leaves its group."""

    def __post_init__(self) -> None:
        """Put right what would stop the library's clients."""
        outlive_lost_connections()
        read_any_header_name()
        inflate_no_further(self.max_message_bytes)

    def producer_settings(self) -> Settings:
        """A producer that loses nothing and sends at once.

        Messages that come while one batch is on its way travel together in the next, so there is
        no need to linger.
        """
        return {
            **self._common(),
            "acks": "all",
            "enable_idempotence": not self.embedded,
            "linger_ms": 0,
            "compression_type": self.compression,
            "max_batch_size": 131_072,
            "metadata_max_age_ms": 60_000,
        }

    def consumer_settings(self) -> Settings:
        """A consumer that starts at the beginning and commits nothing by itself."""
        return {
            **self._common(),
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            # Kafka answers a waiting fetch the moment there is data. The embedded broker sleeps
            # through half of the wait; but below 50 ms a long partition is never read again.
            "fetch_max_wait_ms": 50 if self.embedded else 500,
            "isolation_level": "read_uncommitted" if self.embedded else "read_committed",
            "session_timeout_ms": int(self.session_timeout * 1000),
            "heartbeat_interval_ms": int(min(self.session_timeout / 3, 3) * 1000),
            "rebalance_timeout_ms": 60_000,
            "max_poll_interval_ms": int(self.max_poll_interval * 1000),
            "metadata_max_age_ms": 5_000 if self.embedded else 30_000,
        }

    def busy_consumer_settings(self) -> Settings:
        """For many partitions of which some are full and some empty.

        A fetch that waits for the empty ones keeps a full one back that has been read to its end.
        """
        settings = self.consumer_settings()
        return settings | {"fetch_max_wait_ms": min(settings["fetch_max_wait_ms"], 100)}

    def admin_settings(self) -> Settings:
        """A client that looks at topics and changes them."""
        return self._common()

    @property
    def topic_max_message_bytes(self) -> int | None:
        """What a topic must be told to take our largest message; None where brokers do anyway."""
        overhead = _BROKER_DEFAULT_MAX_MESSAGE_BYTES - 1_000_000
        needed = self.max_message_bytes + overhead
        return needed if needed > _BROKER_DEFAULT_MAX_MESSAGE_BYTES else None

    @property
    def dead_letter_max_message_bytes(self) -> int:
        """Room for whatever another topic took, with the reason why it is dead."""
        return 2 * max(self.max_message_bytes, _BROKER_DEFAULT_MAX_MESSAGE_BYTES)

    def _common(self) -> Settings:
        settings: Settings = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "request_timeout_ms": int(self.request_timeout * 1000),
            "security_protocol": self.security_protocol,
        }
        if "SSL" in self.security_protocol:
            settings["ssl_context"] = self._ssl_context()
        if self.security_protocol.startswith("SASL"):
            settings["sasl_mechanism"] = self.sasl_mechanism or "PLAIN"
            settings["sasl_plain_username"] = self.username
            settings["sasl_plain_password"] = self.password
            if self.oauth is not None:
                settings["sasl_oauth_token_provider"] = ClientCredentialsProvider(self.oauth)
        return settings

    def _ssl_context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = create_ssl_context(
            cafile=self.ssl_cafile,
            certfile=self.ssl_certfile,
            keyfile=self.ssl_keyfile,
            # an empty password rather than none: OpenSSL would ask for one on the terminal
            password=self.ssl_key_password or "",
        )
        return context
