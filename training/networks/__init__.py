"""The networks that give a latent, and the decoders that paint it."""
