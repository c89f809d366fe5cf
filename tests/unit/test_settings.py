"""Settings are read from where they should be, and every mistake is told in one line."""

import os
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.entrypoints.bootstrap.limits import open_limits
from app.entrypoints.settings import Settings, SettingsError, choose_agents, load_settings
from app.entrypoints.settings.ecosystem import provider_variables
from app.entrypoints.settings.problems import groups, variable
from app.entrypoints.settings.reference import document

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without a word about us, in an empty folder."""
    others = ("AGENT_TYPE", "IMPLEMENTATION_TYPE", "KAFKA_BOOTSTRAP_SERVERS", "OTEL_SERVICE_NAME")
    for name in list(os.environ):
        if name.upper().startswith("CREWLINE_") or name in others:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREWLINE_SECRETS_DIR", str(tmp_path))


def complaints(**overrides: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return caught.value.lines


def test_without_a_word_the_defaults_hold() -> None:
    assert load_settings() == Settings()
    assert load_settings().kafka.bootstrap_servers == "127.0.0.1:9092"
    assert load_settings().worker.runtimes == ["rules", "python"]


def test_settings_built_directly_do_not_look_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_WORKER__SLOTS", "3")
    assert Settings().worker.slots == 16
    assert load_settings().worker.slots == 3


def test_the_nearer_source_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "others:1")
    assert load_settings().kafka.bootstrap_servers == "others:1"
    (tmp_path / "crewline_kafka__bootstrap_servers").write_text("secret:2\n")
    assert load_settings().kafka.bootstrap_servers == "secret:2"
    (tmp_path / ".env").write_text("CREWLINE_KAFKA__BOOTSTRAP_SERVERS=file:3\nOPENAI_API_KEY=x\n")
    assert load_settings().kafka.bootstrap_servers == "file:3"
    monkeypatch.setenv("CREWLINE_KAFKA__BOOTSTRAP_SERVERS", "environment:4")
    assert load_settings().kafka.bootstrap_servers == "environment:4"
    given = load_settings(kafka={"bootstrap_servers": "option:5", "prefix": None})
    assert given.kafka.bootstrap_servers == "option:5"
    assert given.kafka.prefix == "crewline"


def test_consumer_groups_go_with_the_prefix() -> None:
    theirs = load_settings(kafka={"prefix": "theirs"}, projector={"group": "mine"})
    assert (theirs.worker.group, theirs.projector.group) == ("theirs.workers", "mine")


@pytest.mark.parametrize("text", ["scribe,builder", " scribe , builder,", '["scribe", "builder"]'])
def test_a_list_is_text_between_commas_or_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CREWLINE_WORKER__AGENTS", text)
    assert load_settings().worker.agents == ["scribe", "builder"]


def test_limits_are_numbers_for_each_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_LIMITS__REQUESTS_PER_MINUTE", "openai:500, anthropic:50,20")
    found = load_settings().limits.requests_per_minute
    assert found == {"openai": 500, "anthropic": 50, "*": 20}


@pytest.mark.parametrize("text", ["openai=500", "openai", "openai:0", "openai:many", "openai:-1"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CREWLINE_LIMITS__TOKENS_PER_MINUTE", text)
    [line] = complaints()
    assert line.startswith("CREWLINE_LIMITS__TOKENS_PER_MINUTE=")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("opnai:500", "no provider is called opnai; did you mean openai?"),
        (
            "openai:5,azure-openai:6",
            "no provider is called azure-openai; did you mean azure_openai?",
        ),
        ("5,q:6", "no provider is called q; there are anthropic, anthropic_bedrock, "),
    ],
)
def test_a_limit_for_a_provider_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("CREWLINE_LIMITS__CONCURRENT_CALLS", text)
    [line] = complaints()
    assert said in line


@pytest.mark.parametrize(("text", "name"), [("openai:5,openai:6", "openai"), ("5,6", "the others")])
def test_of_two_limits_for_one_provider_none_is_guessed(
    monkeypatch: pytest.MonkeyPatch, text: str, name: str
) -> None:
    monkeypatch.setenv("CREWLINE_LIMITS__TOKENS_PER_MINUTE", text)
    [line] = complaints()
    assert line.endswith(f"{text!r}: has two numbers for {name}")


def test_the_address_of_redis_is_checked_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_LIMITS__REDIS_URL", "http://user:secret@host")
    assert complaints() == (
        "CREWLINE_LIMITS__REDIS_URL=***: must begin with redis:// or rediss://",
    )


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_STORE__URL", "")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("CREWLINE_KAFKA__BOOTSTRAP_SERVER", "CREWLINE_KAFKA__BOOTSTRAP_SERVERS"),
        ("CREWLINE_KAFAK__PREFIX", "CREWLINE_KAFKA__PREFIX"),
        ("CREWLINE_KAFKA_PREFIX", "CREWLINE_KAFKA__PREFIX"),
        ("CREWLINE_WORKER__SLOTS__X", "CREWLINE_WORKER__SLOTS"),
        ("crewline_worker__slot", "CREWLINE_WORKER__SLOTS"),
    ],
)
def test_a_misspelt_variable_is_told_the_right_one(
    monkeypatch: pytest.MonkeyPatch, wrong: str, right: str
) -> None:
    monkeypatch.setenv(wrong, "1")
    assert complaints() == (f"{wrong} is not a setting; did you mean {right}?",)


def test_a_variable_like_none_of_ours_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_ZZZ", "1")
    assert complaints() == (
        "CREWLINE_ZZZ is not a setting; docs/settings.md lists those there are",
    )


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CREWLINE_WORKER__SLOT=1\n")
    (tmp_path / "CREWLINE_STORE__URI").write_text("x")
    mine, theirs = sorted(complaints())
    assert mine.startswith(f"CREWLINE_STORE__URI (in {tmp_path}) is not a setting")
    assert theirs.startswith("CREWLINE_WORKER__SLOT (in .env) is not a setting")


@pytest.mark.parametrize("name", ["missing.env", "."])
def test_a_file_that_was_named_must_be_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("CREWLINE_ENV_FILE", name)
    assert complaints() == (f"CREWLINE_ENV_FILE={name!r}: there is no such file",)


@pytest.mark.parametrize("name", [".env", "CREWLINE_STORE__URL"])
def test_a_file_that_is_no_text_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"CREWLINE_STORE__URL=\xff\xfe")
    (line,) = complaints()
    assert line.endswith(f"{name} cannot be read: it is no UTF-8")


def test_every_bad_value_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_GATEWAY__PORT", "99999")
    monkeypatch.setenv("CREWLINE_LOGGING__LEVEL", "loud")
    monkeypatch.setenv("CREWLINE_KAFKA__BOOTSTRAP_SERVERS", "localhost")
    monkeypatch.setenv("CREWLINE_WORKER__RUNTIMES", "rules,no good")
    found = {line.partition("=")[0]: line for line in complaints()}
    assert found.keys() == {
        "CREWLINE_GATEWAY__PORT",
        "CREWLINE_LOGGING__LEVEL",
        "CREWLINE_KAFKA__BOOTSTRAP_SERVERS",
        "CREWLINE_WORKER__RUNTIMES",
    }
    assert "'99999': input should be less than or equal to 65535" in found["CREWLINE_GATEWAY__PORT"]
    assert "'DEBUG', 'INFO', 'WARNING' or 'ERROR'" in found["CREWLINE_LOGGING__LEVEL"]
    assert "host:port" in found["CREWLINE_KAFKA__BOOTSTRAP_SERVERS"]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://me:hunter2@db/x", "must begin with sqlite:/// or postgresql://"),
        ("sqlite://", "must name a file"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_views_have_a_place_that_can_be_opened(url: str, complaint: str) -> None:
    (line,) = complaints(store={"url": url})
    assert line.startswith("store.url=***: ")
    assert complaint in line
    assert "hunter2" not in line


def test_a_bad_option_is_named_as_a_setting() -> None:
    (line,) = complaints(worker={"model": "gpt"})
    assert line.startswith("worker.model='gpt': ")


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_KAFKA__PASSWORD", "hunter2")
    assert "hunter2" not in " ".join(complaints())  # a password without SASL
    monkeypatch.delenv("CREWLINE_KAFKA__PASSWORD")
    monkeypatch.setenv("CREWLINE_STORE__URL", "mysql://me:hunter2@db")
    (line,) = complaints()
    assert line.startswith("CREWLINE_STORE__URL=***: ")
    given = load_settings(store={"url": "postgresql+asyncpg://me:hunter2@db/x"})
    assert "hunter2" not in repr(given)
    assert "hunter2" not in given.model_dump_json()


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:hunter2#x@host:6379/0",
        "redis://me:1#hunter2@host",
        "redis://me:hunter2?x@host",
        "redis://me:hunter2/x@host",
        "redis://me:hunter2@host:port",
        "redis://me:hunter2@[host",
        "rediss://:hunter2#@host",
    ],
)
def test_an_address_that_cannot_be_read_shows_no_part_of_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("CREWLINE_LIMITS__REDIS_URL", url)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    (line,) = raised.value.lines
    assert line.startswith("CREWLINE_LIMITS__REDIS_URL=***: cannot be read; in a user")
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


async def test_what_only_the_client_of_redis_cannot_read_is_told_without_it() -> None:
    for query in ("max_connections=hunter2", "nonsense=hunter2"):
        settings = Settings.model_validate({"limits": {"redis_url": f"redis://host?{query}"}})
        with pytest.raises(SettingsError, match=r"REDIS_URL=\*\*\*: not a URL") as raised:
            async with open_limits(settings):
                pass
        assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_password_in_any_other_address_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_KAFKA__BOOTSTRAP_SERVERS", "kafka://me:hunter2@host")
    (line,) = complaints()
    assert "kafka://me:***@host" in line


@pytest.mark.parametrize(
    ("kafka", "complaint"),
    [
        ({"username": "me", "password": "x"}, "SECURITY_PROTOCOL is PLAINTEXT"),
        ({"security_protocol": "SASL_SSL"}, "needs CREWLINE_KAFKA__SASL_MECHANISM"),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": "me"},
            "PLAIN needs CREWLINE_KAFKA__PASSWORD",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"},
            "OAUTHBEARER needs CREWLINE_KAFKA__OAUTH_TOKEN_URL",
        ),
        ({"ssl_certfile": "me.pem"}, "belong together"),
    ],
)
def test_security_that_does_not_fit_together_is_refused(
    kafka: dict[str, object], complaint: str
) -> None:
    (line,) = complaints(kafka=kafka)
    assert complaint in line


def test_security_that_fits_together_is_taken() -> None:
    scram = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "username": "me",
        "password": "x",
    }
    assert load_settings(kafka=scram).kafka.password == SecretStr("x")


@pytest.mark.parametrize(
    ("kind", "runtimes", "model"),
    [
        ("deterministic", ["rules"], None),
        ("anthropic", ["crewai"], "anthropic:"),
        ("openai", ["crewai"], "openai:"),
        ("Azure", ["crewai"], "azure_openai:ours"),
        ("ollama", ["crewai"], "ollama:"),
    ],
)
def test_an_implementation_type_stands_for_a_runtime_and_a_model(
    monkeypatch: pytest.MonkeyPatch, kind: str, runtimes: list[str], model: str | None
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT", "ours")
    monkeypatch.setenv("AGENT_TYPE", "business_analyst")
    monkeypatch.setenv("IMPLEMENTATION_TYPE", kind)
    worker = load_settings().worker
    assert worker.agents == ["business_analyst"]
    assert worker.runtimes == runtimes
    assert worker.model is None if model is None else (worker.model or "").startswith(model)


def test_our_own_name_counts_more_than_an_implementation_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMPLEMENTATION_TYPE", "openai")
    monkeypatch.setenv("CREWLINE_WORKER__MODEL", "anthropic:mine")
    assert load_settings().worker.model == "anthropic:mine"
    assert load_settings().worker.runtimes == ["crewai"]


def test_an_unknown_implementation_type_is_told_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMPLEMENTATION_TYPE", "antropic")
    assert complaints() == ("IMPLEMENTATION_TYPE='antropic' is not known; did you mean anthropic?",)


def test_agents_are_chosen_with_hyphens_or_underscores() -> None:
    known = ["business-analyst", "harness_expert", "scribe"]
    assert choose_agents(["business_analyst", "Harness-Expert"], known) == known[:2]
    assert choose_agents([], known) == known
    with pytest.raises(SettingsError) as caught:
        choose_agents(["busines-analyst", "zzz"], known)
    assert caught.value.lines == (
        "CREWLINE_WORKER__AGENTS: no agent is called 'busines-analyst'; "
        "did you mean business-analyst?",
        "CREWLINE_WORKER__AGENTS: no agent is called 'zzz'; "
        "there are: business-analyst, harness_expert, scribe",
    )


def test_the_providers_variables_are_only_known_to_be_set() -> None:
    found = provider_variables({"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": ""})
    assert found["OPENAI_API_KEY"] is True
    assert found["ANTHROPIC_API_KEY"] is False


def test_the_page_of_settings_is_up_to_date() -> None:
    remedy = "run: python -m app.entrypoints.settings.reference > docs/settings.md"
    assert PAGE.read_text(encoding="utf-8") == document(), remedy


NUMBERS = [
    variable(group, name)
    for group, model in groups().items()
    for name, field in model.model_fields.items()
    if type(field.default) in (int, float)
] + ["CREWLINE_WORKER__ADMIN_PORT", "CREWLINE_LIMITS__TOKENS_PER_MINUTE"]


def test_there_are_numbers_among_the_settings() -> None:
    assert len(NUMBERS) > 25
    assert "CREWLINE_KAFKA__REQUEST_TIMEOUT_SECONDS" in NUMBERS


@pytest.mark.parametrize("value", ["1e400", "inf", "-inf", "nan", "1" + "0" * 40, "1e300"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_nothing_can_count_to_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    (line,) = complaints()
    assert name in line


def test_every_setting_is_described() -> None:
    assert [line for line in document().splitlines() if line.endswith("|  |")] == []


def test_a_providers_key_in_the_env_file_is_where_its_library_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "environ", {"CREWLINE_SECRETS_DIR": str(tmp_path)})
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-the-file\nSOMETHING_ELSE=1\n")
    load_settings()
    assert os.environ["OPENAI_API_KEY"] == "from-the-file"
    assert "SOMETHING_ELSE" not in os.environ
    os.environ["OPENAI_API_KEY"] = "nearer"
    load_settings()
    assert os.environ["OPENAI_API_KEY"] == "nearer"


@pytest.mark.parametrize("prefix", ["crewline.commands", "urgent", "a.commands.b"])
def test_a_prefix_whose_topics_another_installation_would_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("CREWLINE_KAFKA__PREFIX", prefix)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "CREWLINE_KAFKA__PREFIX must not have the part" in refused.value.lines[0]


@pytest.mark.parametrize("host", ["https://api.example.com", "api.example.com:8000", "a/b", ""])
def test_a_host_is_given_by_its_name_alone(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("CREWLINE_GATEWAY__ALLOWED_HOSTS", f'["{host}"]')
    with pytest.raises(SettingsError, match="is no host: give its name"):
        load_settings()


def test_hosts_and_origins_are_read_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_GATEWAY__ALLOWED_HOSTS", "API.example.com,*.Example.org,[::1],*")
    monkeypatch.setenv("CREWLINE_GATEWAY__CORS_ORIGINS", "https://UI.example/")
    gateway = load_settings().gateway
    assert gateway.allowed_hosts == ["api.example.com", "*.example.org", "::1", "*"]
    assert gateway.cors_origins == ["https://ui.example"]
