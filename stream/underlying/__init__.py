"""The underlying cause of death: WHO selection and modification rules, their tables, the learned re-ranking."""

from stream.underlying.causes import Causes, answer_form, given_codes, read_causes
from stream.underlying.form import FileForm
from stream.underlying.selection import select
from stream.underlying.tables import Tables, load

__all__ = ["Causes", "FileForm", "Tables", "answer_form", "given_codes", "load", "read_causes", "select"]
