"""What every Kafka client is told, and where its tokens come from."""

from urllib.parse import parse_qs

import httpx

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.oauth import ClientCredentials, ClientCredentialsProvider

CREDENTIALS = ClientCredentials("https://login.example/token", "crewline", "s3cret", "kafka")


def test_a_producer_waits_for_all_replicas_and_repeats_nothing() -> None:
    settings = KafkaConnection("kafka:9092").producer_settings()
    assert (settings["acks"], settings["enable_idempotence"]) == ("all", True)


def test_the_embedded_broker_is_spared_what_it_cannot_do() -> None:
    connection = KafkaConnection("127.0.0.1:9092", embedded=True)
    assert connection.producer_settings()["enable_idempotence"] is False
    assert connection.consumer_settings()["isolation_level"] == "read_uncommitted"


def test_a_consumer_starts_at_the_beginning_and_commits_nothing_by_itself() -> None:
    settings = KafkaConnection("kafka:9092").consumer_settings()
    assert settings["auto_offset_reset"] == "earliest"
    assert settings["enable_auto_commit"] is False


def test_a_password_goes_to_every_client_and_into_no_message() -> None:
    connection = KafkaConnection(
        "kafka:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        username="crewline",
        password="s3cret",
    )
    for settings in (
        connection.producer_settings(),
        connection.consumer_settings(),
        connection.admin_settings(),
    ):
        assert settings["sasl_plain_password"] == "s3cret"
        assert settings["sasl_mechanism"] == "SCRAM-SHA-512"
        assert settings["ssl_context"].check_hostname
    assert "s3cret" not in repr(connection)


def test_a_larger_message_needs_larger_topics() -> None:
    assert KafkaConnection("kafka:9092").topic_max_message_bytes is None
    large = KafkaConnection("kafka:9092", max_message_bytes=4_000_000)
    assert large.topic_max_message_bytes == 4_048_588


async def test_a_token_is_kept_while_it_is_good() -> None:
    asked: list[httpx.Request] = []
    now = [0.0]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"access_token": f"t{len(asked)}", "expires_in": 300})

    provider = ClientCredentialsProvider(
        CREDENTIALS, transport=httpx.MockTransport(answer), now=lambda: now[0]
    )
    assert [await provider.token(), await provider.token()] == ["t1", "t1"]
    now[0] = 271
    assert await provider.token() == "t2"
    assert parse_qs(asked[0].content.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["kafka"],
    }
    assert asked[0].headers["authorization"].startswith("Basic ")
    assert "s3cret" not in repr(CREDENTIALS)


async def test_an_oauth_client_gets_a_token_provider() -> None:
    connection = KafkaConnection(
        "kafka:9093",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        oauth=CREDENTIALS,
    )
    provider = connection.consumer_settings()["sasl_oauth_token_provider"]
    assert isinstance(provider, ClientCredentialsProvider)
