"""ICD-10: codes, labels, edits."""
