#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""The steps of `.ci/run` one by one, each in an environment of its own.

`pip install nox`, then `nox --list` and `nox -s lint`; or `./noxfile.py -s lint` where uv is.
"""

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and architecture."""
    session.install("-e", ".[lint,test,docs]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("python", "-m", "pytest", "-q", "tests/unit/test_architecture.py")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests of the README; further arguments go to pytest: `nox -s tests -- -k name`."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site; `nox -s docs -- --serve` serves it."""
    session.install("-e", ".[docs]")
    session.run("python", "docs/build_site.py", *session.posargs)


@nox.session(venv_backend="none", default=False)
def gate(session: nox.Session) -> None:
    """Run all that must hold before a merge, in environments that it makes itself."""
    session.run(".ci/run", external=True)


if __name__ == "__main__":
    nox.main()
