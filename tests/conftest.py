"""Settings for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# In CI the same examples every time: a red build must be the change's own fault. Elsewhere, new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
