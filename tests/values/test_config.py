"""Configuration: where values come from, in which order, and what is said when one is missing."""

from pathlib import Path

import pytest

from aiopaiio.config import Config, load_config
from aiopaiio.errors import ConfigError

FULL = "access_id=id\naccess_key=key\nend_point=http://h/api\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "odps_config.ini"
        path.write_text(text)
        return path

    return write


def test_reads_the_documented_file(write) -> None:
    assert load_config(write(FULL), environ={}) == Config("http://h/api", "id", "key")


def test_the_variable_names_the_file(write) -> None:
    assert load_config(environ={"ODPS_CONFIG_FILE_PATH": str(write(FULL))}) == Config("http://h/api", "id", "key")


@pytest.mark.parametrize("key", ["end_point", "endpoint", "odps_endpoint", "END_POINT"])
def test_spellings_blanks_comments_sections_and_foreign_keys(write, key: str) -> None:
    text = (
        f"\ufeff# a comment\n; another\n[odps]\n\n access_id = id \naccess_key='k=e=y'\n{key} = http://h/api/\n"
        "project_name=p\ntunnel_endpoint=http://t\nsecurity_token=tok\nlog_view_host=x\nnonsense\n"
    )
    assert load_config(write(text), environ={}) == Config(
        "http://h/api", "id", "k=e=y", security_token="tok", tunnel_endpoint="http://t", project="p"
    )


def test_arguments_win_over_the_file_and_the_file_over_the_environment(write) -> None:
    keys = {"ODPS_ACCESS_ID": "e", "ODPS_ACCESS_KEY": "ek"}
    environ = {"ODPS_ENDPOINT": "http://env/api", "ODPS_PROJECT_NAME": "ep"} | keys
    config = load_config(write(FULL), environ=environ, endpoint="http://arg/api")
    assert config == Config("http://arg/api", "id", "key", project="ep")


def test_a_key_pair_never_mixes_sources(write) -> None:
    environ = {"ALIBABA_CLOUD_SECURITY_TOKEN": "foreign token"}
    assert load_config(write(FULL), environ=environ).security_token is None
    with pytest.raises(ConfigError, match="no access_key"):
        load_config(write("access_id=id\nend_point=http://h"), environ={"ODPS_ACCESS_KEY": "other"})


@pytest.mark.parametrize(
    ("id_name", "key_name"),
    [
        ("ODPS_ACCESS_ID", "ODPS_ACCESS_KEY"),
        ("ACCESS_ID", "ACCESS_KEY"),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
    ],
)
def test_the_environment_alone(id_name: str, key_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    environ = {id_name: "id", key_name: "key", "ODPS_ENDPOINT": "http://h/api", "ODPS_TUNNEL_ENDPOINT": "http://t"}
    config = Config("http://h/api", "id", "key", tunnel_endpoint="http://t")
    assert load_config(environ=environ) == config
    environ["ALIBABA_CLOUD_SECURITY_TOKEN"] = "token"
    assert load_config(environ=environ) == config.replace(security_token="token")


def test_the_file_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".odps_config.ini").write_text(FULL)
    assert load_config(environ={}).access_id == "id"


@pytest.mark.parametrize("missing", ["access_id", "access_key", "end_point"])
def test_says_what_is_missing_and_where_it_looked(write, missing: str) -> None:
    path = write("".join(line for line in FULL.splitlines(True) if not line.startswith(missing)))
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={})
    assert f"no {missing}" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.ini \(named by ODPS_CONFIG_FILE_PATH\) cannot be read"):
        load_config(environ={"ODPS_CONFIG_FILE_PATH": str(tmp_path / "missing.ini")})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "f", environ={})


def test_a_wrong_endpoint(write) -> None:
    with pytest.raises(ConfigError, match="neither"):
        load_config(write(FULL.replace("http://h/api", "h/api")), environ={})


def test_a_local_endpoint_needs_no_keys(write) -> None:
    config = load_config(write("end_point=local:/data/warehouse\n"), environ={})
    assert config.local_root == "/data/warehouse"


def test_secrets_do_not_show() -> None:
    config = Config("http://h", "id", "sekret", "tokn")
    assert "sekret" not in repr(config)
    assert "tokn" not in repr(config)
