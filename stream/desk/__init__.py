"""The coding desk: what a person must look at, who looks at it, and what was decided (docs/desk.md)."""
