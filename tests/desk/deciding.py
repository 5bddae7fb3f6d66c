"""Decides one task after the other and tells each decision's id, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

from desk.office import ALL, ANNE, Office, draft
from stream.certificate import utc_now
from stream.database import open_database
from stream.services import Database


def main() -> None:
    """Arguments: the database's address, a folder."""
    url, home = sys.argv[1:3]
    office = Office(open_database(Database(url=url), Path(home)), Path(home), clock=utc_now)
    while (claim := office.desk.next(ANNE, ALL)) is not None:
        done = office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
        sys.stdout.write(f"{done.decision_id}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
