"""Tables of the counts.

`counts_deaths` holds what is known of each certificate and since when; `counts_cells` and `counts_codings` are sums over
it, kept with it in the same transactions, and could be made from it anew. Days are whole numbers since 1970-01-01:
`day_number`. What was known on a day d are the rows with ``since <= d < until``.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa

FORM = 1
"""Of the tables."""
FOREVER = 9_999_999
"""`until` of what holds now."""
ALWAYS = -9_999_999
"""`since` of older counts whose file does not tell when they became known."""
_EPOCH = date(1970, 1, 1).toordinal()
MEASURES = ("deaths", "due", "final", "final_due")
"""Counts of a cell: belonging to the group by any mention or underlying cause; by underlying cause; both of official
results alone."""


def day_number(day: date) -> int:
    """A day as the tables keep it."""
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """The day of such a number."""
    return date.fromordinal(number + _EPOCH)


TABLES = sa.MetaData()


def _key(name: str, kind: type[sa.types.TypeEngine[Any]] | sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    # Without this SQLAlchemy takes a lone integer of the key for a number that the database makes.
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


# Text is compared byte by byte, so that both databases keep and give rows in one order.
_CODE = sa.String(3).with_variant(sa.String(3, collation="C"), "postgresql")
_ID = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")

DEATHS = sa.Table(
    "counts_deaths", TABLES,
    _key("certificate_id", _ID),
    _key("since", sa.Integer),
    sa.Column("until", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("withdrawn", sa.SmallInteger, nullable=False),
    sa.Column("human", sa.SmallInteger, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("coded_at", sa.BigInteger, nullable=False),  # microseconds since 1970
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("final", sa.SmallInteger, nullable=False),
    sa.Column("death_day", sa.Integer),
    sa.Column("place", _CODE, nullable=False),
    sa.Column("age", sa.SmallInteger, nullable=False),
    sa.Column("sex", sa.String(1), nullable=False),
    sa.Column("source", sa.String(1), nullable=False),
    sa.Column("coding", sa.BigInteger, nullable=False),
    sa.Column("due", sa.LargeBinary, nullable=False),  # numbers of groups, two bytes each
    sa.Column("mentioned", sa.LargeBinary, nullable=False),  # those beside `due`
    sa.Index("counts_deaths_day", "death_day"),
    sqlite_with_rowid=False,
)  # fmt: skip
"""What was known of a certificate from one day to another. Rows of a certificate follow one another in time, and each
supersedes the one before."""

# The day comes first: what arrives together lies together, and a series is a seek for each of its days.
CELLS = sa.Table(
    "counts_cells", TABLES,
    _key("death_day", sa.Integer),
    _key("place", _CODE),
    _key("number", sa.SmallInteger),  # of the group: counts_groups
    _key("age", sa.SmallInteger),
    _key("sex", sa.String(1)),
    _key("source", sa.String(1)),
    _key("since", sa.Integer),
    _key("until", sa.Integer),
    *(sa.Column(name, sa.Integer, nullable=False) for name in MEASURES),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Deaths that were counted in a cell from one day of knowledge to another; department by department, and the whole."""

CODINGS = sa.Table(
    "counts_codings", TABLES,
    _key("death_day", sa.Integer), _key("coding", sa.BigInteger), _key("since", sa.Integer), _key("until", sa.Integer),
    sa.Column("deaths", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Deaths by who coded them."""

CODERS = sa.Table(
    "counts_coders", TABLES,
    _key("coding", sa.BigInteger),
    sa.Column("modality", sa.String(8), nullable=False),
    *(
        sa.Column(name, sa.Text, nullable=False)
        for name in ("software", "nomenclature", "lexicon", "rules", "coder", "underlying", "policy")
    ),
)  # fmt: skip
"""What `coding` stands for: a hash of the rest."""

GROUPS = sa.Table(
    "counts_groups",
    TABLES,
    _key("number", sa.SmallInteger),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
)
"""Numbers of the groups in the version of `counts_state`."""

STATE = sa.Table(
    "counts_state", TABLES,
    _key("one", sa.SmallInteger),
    sa.Column("groups_version", sa.String(64), nullable=False),
    # Moves with every fold: of two at once on PostgreSQL, one is taken back.
    sa.Column("turn", sa.BigInteger, nullable=False),
)  # fmt: skip

OLDER = sa.Table(
    "counts_older", TABLES,
    _key("death_day", sa.Integer),
    _key("place", _CODE),
    _key("group_id", sa.String(64)),
    _key("age", sa.SmallInteger),
    _key("sex", sa.String(1)),
    _key("source", sa.String(1)),
    _key("since", sa.Integer),
    sa.Column("deaths", sa.Integer, nullable=False),
    sa.Column("due", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Counts of older years, from files; the whole is kept beside the departments as in the cells."""

IMPORTS = sa.Table(
    "counts_imports", TABLES,
    _key("first", sa.Integer),
    _key("last", sa.Integer),
    _key("group_id", sa.String(64)),
    # Whether the file tells these apart; a series of one of them is a gap where it does not.
    *(
        sa.Column(name, sa.SmallInteger, nullable=False)
        for name in ("deaths", "due", "places", "ages", "sexes", "sources", "dated")
    ),
)  # fmt: skip
"""Which days and groups the files hold, and what they tell apart."""

EXPECTED = sa.Table(
    "counts_expected", TABLES,
    _key("day", sa.Integer), _key("place", _CODE), sa.Column("deaths", sa.Integer, nullable=False),
)  # fmt: skip
"""Deaths that civil registration counted, by day and department."""

FROM_TOPIC = (DEATHS, CELLS, CODINGS, CODERS)
"""What a rebuild makes anew."""
