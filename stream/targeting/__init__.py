"""Who codes which certificate: policy, certainty, route."""
