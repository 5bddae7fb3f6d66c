"""Shell 1: the Faust worker, its stages around the models, its lanes (exactly once) and its outbox (at least once)."""
