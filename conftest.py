"""The tests' surroundings: a jobs folder of their own, replay mode, and no way to the network."""

import os
import tempfile

# Set before anything imports helpers, which read the jobs folder once. Notebooks run in kernels of
# their own: only the environment reaches them.
FOLDER = tempfile.TemporaryDirectory(prefix="cookbook-jobs-")
os.environ |= {
    "COOKBOOK_MODE": "replay",
    "COOKBOOK_JOBS": FOLDER.name,
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


def pytest_configure(config):
    config.add_cleanup(FOLDER.cleanup)
