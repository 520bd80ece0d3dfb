"""Whether people of the original are recognised anywhere in the result: moved, mirrored, turned, pasted elsewhere."""

from streamfilter.audit.elsewhere.conclusion import HOW, Anywhere
from streamfilter.audit.elsewhere.looks import Look, Looks
from streamfilter.audit.elsewhere.search import Elsewhere

__all__ = ["HOW", "Anywhere", "Elsewhere", "Look", "Looks"]
