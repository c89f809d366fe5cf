"""How Kafka is reached; the same wherever Kafka is used."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from app.entrypoints.settings.group import Bytes, Group, Seconds

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


def _addresses(text: str) -> str:
    if not re.fullmatch(r"[^\s,]+:\d+(\s*,\s*[^\s,]+:\d+)*", text):
        raise ValueError("must be host:port, several separated by commas")
    return "".join(text.split())


class KafkaSettings(Group):
    """The broker, its security, and what is asked of it."""

    bootstrap_servers: Annotated[str, AfterValidator(_addresses)] = Field(
        "127.0.0.1:9092",
        description="Brokers to begin with: `host:port`, several separated by commas.",
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = Field(
        "crewline", description="First part of every topic's name."
    )
    client_id: str = Field("crewline", description="How this process names itself to the broker.")
    embedded: bool = Field(
        default=False,
        description="Whether the broker is the embedded one, which has no transactions, no "
        "idempotent producers and one replica.",
    )
    security_protocol: SecurityProtocol = Field(
        "PLAINTEXT", description="TLS (`SSL`) and a log-in (`SASL_`), or neither."
    )
    sasl_mechanism: SaslMechanism | None = Field(
        None, description="How to log in, where the protocol begins with `SASL_`."
    )
    username: str | None = Field(None, description="For `PLAIN` and `SCRAM`.")
    password: SecretStr | None = Field(None, description="For `PLAIN` and `SCRAM`.")
    oauth_token_url: str | None = Field(
        None, description="Where `OAUTHBEARER` gets its tokens, by client credentials."
    )
    oauth_client_id: str | None = Field(None, description="For `OAUTHBEARER`.")
    oauth_client_secret: SecretStr | None = Field(None, description="For `OAUTHBEARER`.")
    oauth_scope: str | None = Field(None, description="For `OAUTHBEARER`, where it is asked for.")
    ssl_cafile: str | None = Field(
        None, description="Certificates to trust, as a PEM file; otherwise the system's."
    )
    ssl_certfile: str | None = Field(None, description="Our own certificate (mTLS), as a PEM file.")
    ssl_keyfile: str | None = Field(None, description="The key of our own certificate.")
    ssl_key_password: SecretStr | None = Field(None, description="The password of that key.")
    ssl_check_hostname: bool = Field(
        default=True, description="Whether the broker's certificate must name its host."
    )
    max_message_bytes: Bytes = Field(
        1_048_576,
        description="The largest message topics are made for; a larger task is refused.",
    )
    request_timeout_seconds: Seconds = Field(
        10, description="How long one request to the broker may take."
    )
    command_partitions: int = Field(
        3,
        ge=1,
        le=1_000,
        description="Partitions of each command topic we make. As many workers can share one "
        "agent's tasks; each of them runs many at once.",
    )
    event_partitions: int = Field(
        6,
        ge=1,
        le=1_000,
        description="Partitions of the topics of results and of traces. As many projectors can "
        "share them; who reads pays for each, empty ones too.",
    )
    replication_factor: int = Field(
        -1,
        ge=-1,
        le=32_767,
        description="Copies of each topic we make; -1 leaves it to the broker.",
    )
    session_timeout_seconds: Seconds = Field(
        10, description="How long a silent worker or projector keeps its partitions."
    )
    max_poll_interval_seconds: Seconds = Field(
        300,
        description="How long a process may not poll before it loses its partitions; running "
        "tasks do not count, because workers poll all the time.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for complaint in self._complaints():
            raise ValueError(complaint)
        return self

    def _complaints(self) -> list[str]:
        """Where settings contradict each other, in the order a person would mend them."""
        found = []
        if {"commands", "urgent"} & set(self.prefix.split(".")):
            found.append(
                f"CREWLINE_KAFKA__PREFIX must not have the part `commands` or `urgent`: what is "
                f"under {self.prefix!r} would be read as tasks of another installation"
            )
        logs_in = self.security_protocol.startswith("SASL_")
        if not logs_in and (self.sasl_mechanism or self.username or self.password):
            found.append(
                "a log-in is given, but CREWLINE_KAFKA__SECURITY_PROTOCOL is "
                f"{self.security_protocol}; it must be SASL_SSL or SASL_PLAINTEXT"
            )
        if logs_in and self.sasl_mechanism is None:
            found.append(
                f"{self.security_protocol} needs CREWLINE_KAFKA__SASL_MECHANISM: "
                "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
            )
        if logs_in and self.sasl_mechanism == "OAUTHBEARER":
            needed = {
                "OAUTH_TOKEN_URL": self.oauth_token_url,
                "OAUTH_CLIENT_ID": self.oauth_client_id,
                "OAUTH_CLIENT_SECRET": self.oauth_client_secret,
            }
        elif logs_in and self.sasl_mechanism:
            needed = {"USERNAME": self.username, "PASSWORD": self.password}
        else:
            needed = {}
        found += [
            f"{self.sasl_mechanism} needs CREWLINE_KAFKA__{name}"
            for name, value in needed.items()
            if not value
        ]
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            found.append(
                "CREWLINE_KAFKA__SSL_CERTFILE and CREWLINE_KAFKA__SSL_KEYFILE belong together"
            )
        return found
