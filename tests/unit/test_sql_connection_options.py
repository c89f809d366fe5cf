"""What a PostgreSQL URL says behind its `?`: libpq's parameters, told to the driver."""

import ssl
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.adapters.sql.connection_options import Options, connection_options
from app.entrypoints.bootstrap.stores import open_store
from app.entrypoints.settings import Settings, SettingsError


def options(query: str) -> Options:
    address, found = connection_options(make_url(f"postgresql://me:hunter2@db/x?{query}"), 10)
    assert not address.query
    return found


def test_without_any_the_session_is_ours_and_patience_has_an_end() -> None:
    plain = {"timeout": 10, "server_settings": {"application_name": "crewline"}}
    assert options("") == plain


def test_what_libpq_knows_is_told_to_the_driver() -> None:
    found = options(
        "application_name=views&options=-c%20search_path%3Dmine&connect_timeout=3"
        "&target_session_attrs=read-write&channel_binding=prefer&client_encoding=UTF8"
    )
    assert found == {
        "timeout": 3,
        "server_settings": {"application_name": "views", "options": "-c search_path=mine"},
        "target_session_attrs": "read-write",
    }
    assert options("connect_timeout=0")["timeout"] is None


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require"])
def test_a_mode_that_checks_nothing_is_the_drivers_own(mode: str) -> None:
    assert options(f"sslmode={mode}")["ssl"] == mode


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of certificates: the first of those this machine trusts."""
    trusted = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not trusted:
        pytest.skip("this machine trusts no certificates")
    file = tmp_path_factory.mktemp("tls") / "root.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(trusted[0]))
    return str(file)


@pytest.mark.parametrize(
    ("mode", "checks_name"), [("require", False), ("verify-ca", False), ("verify-full", True)]
)
def test_a_root_certificate_is_checked(root: str, mode: str, checks_name: bool) -> None:
    context = options(f"sslmode={mode}&sslrootcert={root}")["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, checks_name)
    assert len(context.get_ca_certs()) == 1


def test_without_one_the_systems_count() -> None:
    context = options("sslmode=verify-full")["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


REFUSED = [
    ("sslmode=yes", "sslmode: must be one of disable, allow,"),
    ("sslmode=require&sslmode=disable", "sslmode stands there twice"),
    ("sslmode=require&ssl=require", "leave one out"),
    ("sslrootcert=/x.pem", "sslrootcert: needs sslmode=require"),
    ("sslmode=verify-full&sslrootcert=/no/such.pem", "sslrootcert: cannot be read: No such file"),
    ("sslmode=require&sslcert=/no/such.pem", "sslcert: cannot be read: No such file"),
    ("sslmode=require&sslkey=/no/such.pem", "sslkey: needs sslcert"),
    ("connect_timeout=soon", "connect_timeout: must be a number of whole seconds"),
    ("target_session_attrs=fast", "target_session_attrs: must be one of any,"),
    ("channel_binding=require", "channel_binding: the driver cannot require it"),
    ("client_encoding=latin1", "client_encoding: the driver speaks utf8 alone"),
    ("keepalives_idle=5", "'keepalives_idle' is no parameter here; there are: application_name"),
    ("password=hunter3", "'password' is no parameter here"),
]


@pytest.mark.parametrize(("query", "told"), REFUSED, ids=[query for query, _ in REFUSED])
async def test_what_the_driver_cannot_do_is_refused_in_one_line(query: str, told: str) -> None:
    url = f"postgresql://me:hunter2@127.0.0.1/x?{query}"
    settings = Settings.model_validate({"store": {"url": url}})
    with pytest.raises(SettingsError) as refused:
        async with open_store(settings):
            pass
    [line] = refused.value.lines
    assert line.startswith("CREWLINE_STORE__URL=***: ")
    assert told in line
    assert "hunter" not in line


def test_a_certificate_that_is_none_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("nothing")
    with pytest.raises(ValueError, match="sslrootcert: cannot be read"):
        options(f"sslmode=verify-ca&sslrootcert={tmp_path / 'root.pem'}")
