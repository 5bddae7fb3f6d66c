"""Training: nomenclature, corpus, tokenizer, encoder, calibration, evaluation, export (extra `train`)."""
