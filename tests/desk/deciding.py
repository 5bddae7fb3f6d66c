"""Decides one task after the other and tells each decision's id, until it is killed.

At each line that it is given it begins another desk, in a process of its own: what takes long to load is loaded once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from desk.office import ALL, ANNE, Office, draft
from stream.certificate import utc_now
from stream.database import open_database
from stream.services import Database

ENDED = "ended"
"""Told once a desk is gone."""


def tell(words: object) -> None:
    """A line, at once and whole."""
    os.write(1, f"{words}\n".encode())


def main() -> None:
    """Arguments: the database's address, a folder."""
    url, home = sys.argv[1:3]
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            tell(os.getpid())
            office = Office(open_database(Database(url=url), Path(home)), Path(home), clock=utc_now)
            while (claim := office.desk.next(ANNE, ALL)) is not None:
                tell(office.desk.decide(ANNE, claim.claim_id, draft("I21.9")).decision_id)
            os._exit(0)
        os.waitpid(child, 0)
        tell(ENDED)


if __name__ == "__main__":
    main()
