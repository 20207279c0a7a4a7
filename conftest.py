"""The tests' surroundings: a jobs folder of their own, replay mode, and no way to the network."""

import os
import tempfile


def pytest_configure(config):
    # Notebooks run in kernels of their own: only the environment reaches them.
    folder = tempfile.TemporaryDirectory(prefix="cookbook-jobs-")
    config.add_cleanup(folder.cleanup)
    os.environ |= {
        "COOKBOOK_MODE": "replay",
        "COOKBOOK_JOBS": folder.name,
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }
