"""Frozen networks that look at pictures, differentiably: landmarks, identity, perception."""
