"""Prints what roc-validator finds in crates, offline, as JSON: `crate_check.py FOLDER PROFILE`.

The profile is one that roc-validator ships, such as `ro-crate-1.1`.
"""

from __future__ import annotations

import json
import sys

from shipped_context import serve


def check(folder: str, profile: str) -> list[dict[str, str]]:
    """Return the findings of a crate, those that are recommendations too."""
    serve()
    from rocrate_validator import models, services

    settings = services.ValidationSettings(
        rocrate_uri=folder,
        profile_identifier=profile,
        requirement_severity=models.Severity.RECOMMENDED,
        no_cache=True,
    )
    return [
        {"severity": i.severity.name, "check": i.check.identifier, "message": str(i.message)}
        for i in services.validate(settings).get_issues()
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(check(sys.argv[1], sys.argv[2])))
