"""The stamp of a served model: a hash of all files of its version, kept in its `config.pbtxt` beside the version.

Triton serves the stamp with the configuration, and results name it: weights that are replaced under the same version
number are told apart. ``python -m training.stamp`` writes the stamps anew; an export does it by itself.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from stream.settings import REPOSITORY

_STAMP = re.compile(r'parameters \{ key: "stamp" value: \{ string_value: "(\w*)" \} \}')


def stamp_of(folder: Path) -> str:
    """Hash of the files of a version's folder."""
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamped(config: Path) -> str:
    """The stamp that a `config.pbtxt` holds; empty where it holds none."""
    found = _STAMP.search(config.read_text(encoding="utf-8"))
    return found[1] if found else ""


def stamp(folder: Path) -> None:
    """Write the stamp of a version's folder into the `config.pbtxt` above it, if there is one."""
    config = folder.parent / "config.pbtxt"
    if not config.exists():
        return
    line = f'parameters {{ key: "stamp" value: {{ string_value: "{stamp_of(folder)}" }} }}'
    text = config.read_text(encoding="utf-8")
    if _STAMP.search(text):
        text = _STAMP.sub(line, text)
    else:
        text = text.replace(
            "instance_group", f"# Hash of the version's files (training/stamp.py).\n{line}\ninstance_group", 1
        )
    config.write_text(text, encoding="utf-8")


def main() -> None:
    """Command line."""
    for config in sorted((REPOSITORY / "model_repo").glob("*/config.pbtxt")):
        for folder in sorted(path for path in config.parent.iterdir() if path.name.isdigit()):
            stamp(folder)


if __name__ == "__main__":
    main()
