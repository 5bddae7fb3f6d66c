"""The pure core: a record in, decisions out."""
