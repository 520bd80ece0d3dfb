"""Judges that took no part in the work: what other people's detectors and recognisers see in a result."""
