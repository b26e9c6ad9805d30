"""CI draws the same cases of property tests each time; on a developer's machine they are random.

So a change is judged by the change, and what random cases find is found where it can be looked into.
"""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
