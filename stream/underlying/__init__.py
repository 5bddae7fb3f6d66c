"""The underlying cause of death: WHO selection and modification rules, their tables, the learned ranker."""

from stream.underlying.causes import Causes, answer_form, given_codes, read_causes
from stream.underlying.form import FileForm
from stream.underlying.request import consider
from stream.underlying.selection import select
from stream.underlying.tables import Tables, load

__all__ = ["Causes", "FileForm", "Tables", "answer_form", "consider", "given_codes", "load", "read_causes", "select"]
