"""Settings of the whole suite."""

from hypothesis import settings

# No time limit per example, which a busy machine would break; the same examples on every run.
settings.register_profile("oxiconv", deadline=None, derandomize=True)
settings.load_profile("oxiconv")
