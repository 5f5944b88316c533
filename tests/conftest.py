"""What every test shares: deterministic hypothesis, and an environment no developer's settings leak into."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Deterministic, so that red today is red tomorrow; no deadline, because the machine may be busy with other suites.
settings.register_profile(
    "wsgikit", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("soak", parent=settings.get_profile("wsgikit"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "wsgikit"))

for name in [name for name in os.environ if name.startswith("WSGIKIT_") or name in ("PORT", "WEB_CONCURRENCY")]:
    del os.environ[name]
