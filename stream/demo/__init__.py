"""The demonstration: the main job on the embedded servers, from samples to a table that a person reads."""
