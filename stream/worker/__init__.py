"""Shell 1: the Faust worker, its stages around the model, its outbox."""
