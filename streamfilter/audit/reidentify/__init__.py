"""Whether recognisers that know the people find them again in the result."""

from streamfilter.audit.reidentify.examiner import Reidentification

__all__ = ["Reidentification"]
