"""Secrets out of files: what Docker, Kubernetes and systemd hand over, so that no secret stands in the environment.

``CAUSA_KAFKA__SASL__PASSWORD_FILE=/run/secrets/kafka`` is read as `CAUSA_KAFKA__SASL__PASSWORD`; so for every setting
that is a secret, and for no other. One line end at the end of the file is none of the secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from pydantic_settings.sources import PydanticBaseEnvSettingsSource

from stream.errors import InvalidSettings

Way = tuple[str, ...]
_MAPPING = TypeAdapter(dict[str, str])


def secrets_of(kind: type[BaseModel], path: Way = ()) -> Iterator[tuple[Way, bool]]:
    """Where a model holds secrets: the fields on the way, and whether it is a mapping of them."""
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from secrets_of(inner, (*path, name))
        elif inner is SecretStr or SecretStr in get_args(inner):
            yield (*path, name), inner is not SecretStr


class SecretFiles(PydanticBaseSettingsSource):
    """Settings' source of secrets that stand in files.

    Args:
        settings: the class of settings.
        secrets: see `secrets_of`.
        named: sources whose variables may name a file, first one first.
    """

    def __init__(
        self,
        settings: type[BaseSettings],
        secrets: Iterator[tuple[Way, bool]],
        named: Sequence[PydanticBaseSettingsSource],
    ) -> None:
        super().__init__(settings)
        self._secrets = list(secrets)
        # By lower-case name, as pydantic-settings keeps them.
        self._variables: dict[str, str | None] = {}
        for source in reversed(named):
            assert isinstance(source, PydanticBaseEnvSettingsSource)
            self._variables |= _variables(source)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: the whole mapping is given at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """The secrets that files hold, nested as the settings are.

        Raises:
            InvalidSettings: a file cannot be read, or a secret is given in both ways.
        """
        found: dict[str, Any] = {}
        for path, mapping in self._secrets:
            name = f"CAUSA_{'__'.join(path)}".lower()
            file = self._variables.get(f"{name}_file")
            if not file:
                continue
            if self._variables.get(name) is not None:
                raise InvalidSettings(f"{name.upper()} and {name.upper()}_FILE are both set", hint="leave one out")
            inner = found
            for step in path[:-1]:
                inner = inner.setdefault(step, {})
            inner[path[-1]] = _read(file, f"{name.upper()}_FILE", mapping)
        return found


def _variables(source: PydanticBaseEnvSettingsSource) -> Mapping[str, str | None]:
    found: Mapping[str, str | None] = source.env_vars  # type: ignore[attr-defined]
    return found


def _read(file: str, name: str, mapping: bool) -> Any:
    try:
        secret = Path(file).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        return _MAPPING.validate_json(secret) if mapping else secret
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not as it should be"
        raise InvalidSettings(f"{name}: {reason}", hint="a mapping of keys is written as JSON") from None
