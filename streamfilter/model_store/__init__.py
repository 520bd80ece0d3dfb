"""Models of other people that are pulled when they are asked for: what there is, where it lies, how it gets there."""

from __future__ import annotations

from streamfilter.model_store.catalogue import AUDIT, GROUPS, Package, StoredFile
from streamfilter.model_store.pull import pull
from streamfilter.model_store.store import Condition, Holding, Store

__all__ = ["AUDIT", "GROUPS", "Condition", "Holding", "Package", "Store", "StoredFile", "pull"]
