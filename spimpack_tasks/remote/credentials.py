"""Finds the credentials of an object store: in the environment, a profile, or an instance role.

Nothing else gives credentials: no parameter, no file of ours, no address. They are handed to the
client only, and a text of them never shows a secret.

For S3 the order is that of the AWS command line: a profile that is named (`--profile`), the
variables `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, the profile that `AWS_PROFILE` names or
`default`, a web identity, a container or instance role. Source: "Configuration and credential
precedence" of the AWS CLI's user guide.
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.remote.location import Location

_ROLE_VARIABLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_FURTHER_PROFILES = ("sso_session", "sso_start_url", "role_arn")
"""Keys of profiles that ask a service for credentials, which the AWS command line can print."""
_PROCESS_S = 60
"""Seconds for the program of a profile, which may ask its user to confirm."""
_KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_BOTH = " and ".join(_KEY_VARIABLES)


class CredentialsError(SpimpackError):
    """There are no credentials, or they cannot be read."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials and where they were found."""

    source: str
    """Where they were found, in words, for `spimpack doctor`."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys of S3 for the client; nothing where the client finds them itself."""
    region: str = ""
    endpoint_url: str = ""
    is_anonymous: bool = False
    """Whether requests are sent without a signature, as anybody's."""
    is_certain: bool = True
    """Whether there are some; a role of the machine shows only when it is used."""


def anonymous(location: Location, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return what is needed to read as anybody what is public.

    Raises
    ------
    CredentialsError
        The profile cannot be read.
    """
    region, endpoint = find_region(location, environment), find_endpoint(location, environment)
    return Credentials("none", {}, region, endpoint, is_anonymous=True)


def find_credentials(
    location: Location, environment: Mapping[str, str] = os.environ
) -> Credentials:
    """Return the credentials for a location.

    Raises
    ------
    CredentialsError
        There are none.
    """
    if location.scheme == "s3":
        return _find_s3(location, environment)
    return _find_other(location, environment)


def find_endpoint(location: Location, environment: Mapping[str, str] = os.environ) -> str:
    """Return the address of the service, empty for the usual one of the scheme.

    It is part of what a location is, so every process of a run must mean the same one.

    Raises
    ------
    CredentialsError
        The profile cannot be read.
    """
    if location.endpoint_url:
        return location.endpoint_url
    if location.scheme == "az":
        account = environment.get("AZURE_STORAGE_ACCOUNT_NAME", "")
        usual = f"https://{account}.blob.core.windows.net" if account else ""
        return environment.get("AZURE_STORAGE_ENDPOINT") or usual
    if location.scheme == "gs":
        # Google's own clients read the same variable.
        host = environment.get("STORAGE_EMULATOR_HOST", "")
        return host if "://" in host or not host else f"http://{host}"
    profile = _read_profile(_profile_name(location, environment), environment)
    return (
        environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url", "")
    )


def find_region(location: Location, environment: Mapping[str, str] = os.environ) -> str:
    """Return the region of the bucket as far as the user's settings name it.

    Raises
    ------
    CredentialsError
        The profile cannot be read.
    """
    if location.scheme != "s3":
        return ""
    profile = _read_profile(_profile_name(location, environment), environment)
    named = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    return named or profile.get("region", "")


def _profile_name(location: Location, environment: Mapping[str, str]) -> str:
    return location.profile or environment.get("AWS_PROFILE") or "default"


def _find_s3(location: Location, environment: Mapping[str, str]) -> Credentials:
    name = _profile_name(location, environment)
    profile = _read_profile(name, environment)
    if (location.profile or environment.get("AWS_PROFILE")) and not profile:
        message = f"there is no profile {name!r} in the AWS configuration; aws configure makes one"
        raise CredentialsError(message)
    region = find_region(location, environment)
    endpoint = find_endpoint(location, environment)
    given = {each for each in _KEY_VARIABLES if environment.get(each)}
    if given and not location.profile:
        if len(given) < len(_KEY_VARIABLES):
            message = f"{given.pop()} is set, and the other one is not; set {_BOTH}"
            raise CredentialsError(message)
        keys = {
            "access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
            "token": environment.get("AWS_SESSION_TOKEN", ""),
        }
        return Credentials("environment (AWS_ACCESS_KEY_ID)", _given(keys), region, endpoint)
    keys = _keys_of_profile(name, profile)
    if keys:
        return Credentials(f"profile {name!r}", keys, region, endpoint)
    role = _find_role(environment)
    return Credentials(role, {}, region, endpoint, is_certain=role != _INSTANCE)


def _given(keys: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in keys.items() if value}


def _find_role(environment: Mapping[str, str]) -> str:
    for name in _ROLE_VARIABLES:
        if environment.get(name):
            return f"role ({name})"
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        message = f"there are no credentials for S3; set {_BOTH}, or name a profile with --profile"
        raise CredentialsError(message)
    return _INSTANCE


def name_means(location: Location) -> str:
    """Return how a user gives credentials for a location, in words."""
    if location.scheme == "s3":
        return f"set {_BOTH}, or name a profile (--profile, or profile in a study)"
    return f"set {_USUAL[location.scheme]}" if location.scheme in _USUAL else ""


def profile_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of the profiles of the AWS configuration.

    Raises
    ------
    CredentialsError
        The configuration cannot be read.
    """
    config, credentials = (parser for parser, _ in _read_files("", environment))
    named = [name.removeprefix("profile ") for name in config.sections()]
    others = {name for name in named if name.startswith(("sso-session ", "services "))}
    return sorted({*named, *credentials.sections()} - others)


def _read_profile(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a profile, those of the credentials file first."""
    found: dict[str, str] = {}
    for parser, sections in _read_files(name, environment):
        for section in sections:
            if parser.has_section(section):
                found |= dict(parser.items(section))
                break
    return found


def _read_files(
    name: str, environment: Mapping[str, str]
) -> Iterator[tuple[configparser.RawConfigParser, tuple[str, ...]]]:
    """Yield the two files of the AWS configuration, with the sections of a profile in each."""
    home = os.path.expanduser("~/.aws")
    for variable, file, sections in (
        ("AWS_CONFIG_FILE", f"{home}/config", (f"profile {name}", name)),
        ("AWS_SHARED_CREDENTIALS_FILE", f"{home}/credentials", (name,)),
    ):
        path = os.path.expanduser(environment.get(variable) or file)
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            # The text of such an error may quote a line with a secret.
            message = f"{path} cannot be read as an AWS configuration ({type(error).__name__})"
            raise CredentialsError(message) from None
        yield parser, sections


def _keys_of_profile(name: str, profile: Mapping[str, str]) -> dict[str, str]:
    if profile.get("aws_access_key_id") and profile.get("aws_secret_access_key"):
        keys = {
            "access_key_id": profile["aws_access_key_id"],
            "secret_access_key": profile["aws_secret_access_key"],
            "token": profile.get("aws_session_token", ""),
        }
        return _given(keys)
    if profile.get("credential_process"):
        return _ask_process(name, profile["credential_process"])
    further = next((key for key in _FURTHER_PROFILES if profile.get(key)), "")
    if further:
        message = (
            f"the profile {name!r} has {further}, which only the AWS command line can follow; put "
            "its answer into the environment: "
            f'eval "$(aws configure export-credentials --profile {shlex.quote(name)} --format env)"'
        )
        raise CredentialsError(message)
    return {}


def _ask_process(name: str, command: str) -> dict[str, str]:
    """Return what the program of a profile prints ("credential_process" of the AWS SDKs)."""
    try:
        done = subprocess.run(  # noqa: S603  # the user's own configuration names it
            shlex.split(command), capture_output=True, check=True, timeout=_PROCESS_S
        )
        values: dict[str, Any] = json.loads(done.stdout)
        keys = {
            "access_key_id": str(values["AccessKeyId"]),
            "secret_access_key": str(values["SecretAccessKey"]),
            "token": str(values.get("SessionToken") or ""),
        }
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        message = (
            f"the credential_process of the profile {name!r} gave no credentials "
            f"({type(error).__name__}); run it by hand to see why"
        )
        raise CredentialsError(message) from None
    return _given(keys)


_GOOGLE = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS")
_USUAL = {"gs": "GOOGLE_APPLICATION_CREDENTIALS", "az": "AZURE_STORAGE_ACCOUNT_KEY"}
"""Variables that most users set."""
_GOOGLE_DEFAULT = "~/.config/gcloud/application_default_credentials.json"
"""Where the command line of Google keeps credentials ("Application Default Credentials")."""
_INSTANCE = "instance role, if this machine has one"
_AZURE = (
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_TOKEN",
)


def _find_other(location: Location, environment: Mapping[str, str]) -> Credentials:
    if location.profile:
        message = f"--profile is for s3:// only; {location.scheme}:// has its own environment"
        raise CredentialsError(message)
    if location.scheme == "az" and not environment.get("AZURE_STORAGE_ACCOUNT_NAME"):
        message = "set AZURE_STORAGE_ACCOUNT_NAME to the storage account of the container"
        raise CredentialsError(message)
    names = _AZURE if location.scheme == "az" else _GOOGLE
    found = next((name for name in names if environment.get(name)), "")
    endpoint = find_endpoint(location, environment)
    if found:
        return Credentials(f"environment ({found})", {}, "", endpoint)
    if location.scheme == "gs" and os.path.isfile(os.path.expanduser(_GOOGLE_DEFAULT)):
        return Credentials(_GOOGLE_DEFAULT, {}, "", endpoint)
    source = (
        f"the service's default for this machine, if it has one; else set {_USUAL[location.scheme]}"
    )
    return Credentials(source, {}, "", endpoint, is_certain=False)
