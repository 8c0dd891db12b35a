"""Checks whether Luigi's central scheduler answers, by the client that a worker has.

A worker tries three times, with half a minute in between; here one try of a few seconds will do.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from spimpack_tasks.doctor.answer import note, ok, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.doctor.answer import Answer

TIMEOUT_S = 3.0
"""Seconds to wait for an answer; a scheduler that works answers in milliseconds."""

CONFIG_FILES = (
    *("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg"),
    *("/etc/luigi/luigi.toml", "luigi.toml"),
)
"""Files in which Luigi looks for its configuration."""
CONFIG_VARIABLES = ("LUIGI_CONFIG_PATH", "LUIGI_CONFIG_PARSER")
"""Variables of the environment that name further ones."""

_CHECK = "scheduler"
_DEFAULT_PORT = "8082"


def check_scheduler(url: str = "") -> Iterator[Answer]:
    """Yield whether a scheduler answers.

    Parameters
    ----------
    url
        Of the scheduler; empty for the one that Luigi's configuration names, if it names one.
    """
    url = url or _configured_url()
    if not url:
        message = "none is configured; spimpack package and luigi --local-scheduler need none"
        yield note(_CHECK, message)
    else:
        try:
            yield _ask(url, _without_password(url))
        except ValueError:
            yield problem(_CHECK, "its address is none; write one like http://127.0.0.1:8082")


def _configured_url() -> str:
    """Return the address that Luigi's configuration has, under either of two names."""
    url = _configured("scheduler_url")
    host = _configured("scheduler_host")
    port = _configured("scheduler_port") or _DEFAULT_PORT
    return url or (f"http://{host}:{port}" if host else "")


def _configured(name: str) -> str:
    if not _may_be_configured():
        return ""
    import luigi.configuration  # noqa: PLC0415 - it takes longer than all checks of a machine

    config = luigi.configuration.get_config()
    return str(config.get("core", name, "") or config.get("core", f"default_{name}", ""))


def _may_be_configured() -> bool:
    """Tell whether Luigi is imported already, or there is a configuration that it may read."""
    named = [name for name in CONFIG_VARIABLES if name in os.environ]
    return "luigi" in sys.modules or bool(named) or any(map(os.path.exists, CONFIG_FILES))


def _ask(url: str, shown: str) -> Answer:
    from http.client import HTTPException  # noqa: PLC0415 - only where a scheduler is asked

    import luigi.rpc  # noqa: PLC0415 - as above

    if url.startswith("http+unix:") and not luigi.rpc.HAS_UNIX_SOCKET:
        message = f"{url} needs another package; pip install requests-unixsocket"
        return problem(_CHECK, message)
    try:
        client = luigi.rpc.RemoteScheduler(url, connect_timeout=TIMEOUT_S)
        # Else only configuration can say so; its log would show a password in the address.
        client._rpc_retry_attempts, client._rpc_log_retries = 1, False  # noqa: SLF001
        answer = client.is_pause_enabled()  # type: ignore[attr-defined]  # made by luigi.rpc
        client.close()
        is_luigid = "enabled" in answer
    except (luigi.rpc.RPCError, OSError, HTTPException) as error:
        status = getattr(getattr(error, "sub_exception", None), "response", None)
        if status is None:
            message = f"{shown} does not answer; start luigid there, or run without it"
        else:
            message = f"{shown} answers {status.status_code}; is it luigid, and may you ask it?"
        return problem(_CHECK, message)
    except (ValueError, KeyError, TypeError):
        is_luigid = False
    if not is_luigid:
        return problem(_CHECK, f"{shown} answers, but not as luigid does; check the address")
    return ok(_CHECK, f"{shown} answers")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
