"""Where the endpoint and the keys come from: arguments, the configuration file, the environment.

Read when a client is made, never at import: programs often set ``ODPS_CONFIG_FILE_PATH`` after they imported this
package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from aiopaiio.errors import ConfigError, UsageError

__all__ = ["LOCAL_SCHEME", "Config", "load_config"]

LOCAL_SCHEME = "local:"
"""An endpoint ``local:DIR`` means the service for one machine, inside this process, on the folder DIR."""

_FILE_VARIABLE = "ODPS_CONFIG_FILE_PATH"
_DEFAULT_FILE = "~/.odps_config.ini"

# For each field: the names it has in configuration files, and the environment variables, first hit wins.
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "endpoint": (("end_point", "endpoint", "odps_endpoint"), ("ODPS_ENDPOINT", "END_POINT")),
    "tunnel_endpoint": (("tunnel_endpoint", "tunnel_end_point"), ("ODPS_TUNNEL_ENDPOINT",)),
    "access_id": (("access_id",), ("ODPS_ACCESS_ID", "ACCESS_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID")),
    "access_key": (("access_key",), ("ODPS_ACCESS_KEY", "ACCESS_KEY", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")),
    "security_token": (
        ("security_token", "sts_token"),
        ("ODPS_STS_TOKEN", "STS_TOKEN", "ALIBABA_CLOUD_SECURITY_TOKEN"),
    ),
    "project": (("project_name", "project"), ("ODPS_PROJECT_NAME",)),
    "region": (("region_name", "region"), ("ODPS_REGION_NAME",)),
    "quota_name": (("quota_name", "tunnel_quota_name"), ("QUOTA_NAME",)),
}


@dataclass(frozen=True, slots=True)
class Config:
    """An endpoint with the keys for it. The key and the token never show in a ``repr``, and it does not pickle.

    ``endpoint`` is the service's URL (``http://service.REGION.maxcompute.aliyun.com/api``) or ``local:DIR``;
    ``tunnel_endpoint`` is asked of the service when None. With a ``region`` requests are signed with version 4, else 1.
    """

    endpoint: str
    access_id: str = ""
    access_key: str = field(default="", repr=False)
    security_token: str | None = field(default=None, repr=False)
    tunnel_endpoint: str | None = None
    project: str | None = None
    region: str | None = None
    quota_name: str | None = None

    @property
    def local_root(self) -> str | None:
        """The folder of a ``local:DIR`` endpoint, else None."""
        return self.endpoint[len(LOCAL_SCHEME) :] if self.endpoint.startswith(LOCAL_SCHEME) else None

    def replace(self, **changes: str | None) -> Config:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # every field is a str or None

    def __reduce__(self) -> NoReturn:
        raise UsageError("a configuration holds keys and does not pickle; load it in the other process")


def load_config(
    config_file: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    keys_needed: bool = True,
    **given: str | None,
) -> Config:
    """Gather a :class:`Config`.

    Each field is taken from the first of: an argument; the file ``config_file``, else the one named by
    ``ODPS_CONFIG_FILE_PATH``, else ``~/.odps_config.ini`` if it is there; the environment. The three fields of a key
    pair (id, key, token) always come from one place together. Raises :class:`~aiopaiio.errors.ConfigError` that says
    what is missing and where it was looked for. ``keys_needed`` false accepts a configuration without keys.
    """
    environ = os.environ if environ is None else environ
    path, in_file = _file_values(config_file, environ)
    in_environment = {
        name: next((environ[v] for v in variables if environ.get(v)), None) for name, (_, variables) in _KEYS.items()
    }
    sources: list[Mapping[str, str | None]] = [given, in_file, in_environment]
    values: dict[str, str | None] = {
        name: next((source[name] for source in sources if source.get(name)), None) for name in _KEYS
    }
    no_keys: Mapping[str, str | None] = {}
    keys = next((source for source in sources if source.get("access_id") or source.get("access_key")), no_keys)
    values |= {name: keys.get(name) for name in ("access_id", "access_key", "security_token")}

    endpoint = values.pop("endpoint") or ""
    looked_in = f"configuration file {path}" if path else f"no configuration file (set {_FILE_VARIABLE})"
    if not endpoint:
        raise ConfigError(f"no end_point: looked in {looked_in} and in the environment (ODPS_ENDPOINT)")
    if not endpoint.startswith((LOCAL_SCHEME, "http://", "https://")):
        raise ConfigError(f"end_point {endpoint!r} is neither http://HOST/api, https://HOST/api nor local:DIR")
    if endpoint == LOCAL_SCHEME:
        raise ConfigError(f"end_point {endpoint!r} names no folder: write {LOCAL_SCHEME}DIR")
    _check_address("end_point", endpoint)
    if values["tunnel_endpoint"]:
        _check_address("tunnel_endpoint", values["tunnel_endpoint"])
    if keys_needed and not endpoint.startswith(LOCAL_SCHEME):
        for name in ("access_id", "access_key"):
            if not values[name]:
                variables = " or ".join(_KEYS[name][1])
                raise ConfigError(f"no {name}: looked in {looked_in} and in the environment ({variables})")
    return Config(
        endpoint=endpoint.rstrip("/"),
        access_id=values.pop("access_id") or "",
        access_key=values.pop("access_key") or "",
        **values,
    )


def _check_address(name: str, address: str) -> None:
    if address.startswith(LOCAL_SCHEME):
        return
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{name} {address!r} has no usable host and port; write http://HOST[:PORT]/api")


def _file_values(
    config_file: str | os.PathLike[str] | None, environ: Mapping[str, str]
) -> tuple[Path | None, dict[str, str]]:
    named = config_file or environ.get(_FILE_VARIABLE)
    path = Path(named or _DEFAULT_FILE).expanduser()
    if not named and not path.is_file():
        return None, {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        source = "" if config_file else f" (named by {_FILE_VARIABLE})" if named else ""
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"configuration file {path}{source} cannot be read: {reason}") from None
    by_key = {key: name for name, (keys, _) in _KEYS.items() for key in keys}
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        name = by_key.get(key.strip().lower())
        # Sections, comments and keys of other tools are not ours to judge.
        if equals and name and not key.startswith(("#", ";", "[")):
            values[name] = value.strip().strip("'\"")
    return path, values
