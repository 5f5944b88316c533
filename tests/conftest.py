"""What all tests share: hypothesis without chance, an environment without your settings, signals that nobody ignores,
files enough, and nothing left in /tmp."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Deterministic, so that red today is red tomorrow; no deadline, because the machine may be busy with other suites.
settings.register_profile(
    "wsgikit", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("soak", parent=settings.get_profile("wsgikit"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "wsgikit"))

for name in [name for name in os.environ if name.startswith("WSGIKIT_") or name in ("PORT", "WEB_CONCURRENCY")]:
    del os.environ[name]

# A job in a shell's background ignores SIGINT, one under nohup SIGHUP; so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# Many a machine lets a process have 1,024 open files unless it asks for more.
FILES = 8192
_files, _most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
if 0 <= _files < FILES:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if _most_files < 0 else min(FILES, _most_files), _most_files))


@pytest.fixture(scope="session", autouse=True)
def _temporary_files() -> Iterator[None]:
    """One folder for what the code under test puts into the system's folder for temporary files; it goes at the end.

    Not below tmp_path: workers that run as another user have to get in, and a Unix socket's path has 107 bytes.
    """
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="wsgikit-tests-") as folder:
        os.chmod(folder, 0o1777)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        yield
    tempfile.tempdir = before[1]
    if before[0] is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before[0]
