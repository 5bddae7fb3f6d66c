"""Lines to codes: the lexicon, the rules over it, the model behind its seam, and the two put together."""
