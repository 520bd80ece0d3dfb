"""Pictures of faces -> packs for training: aligned crops with their landmarks."""
