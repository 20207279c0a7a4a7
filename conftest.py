"""The tests' surroundings: a jobs folder of their own, replay mode, and no way to the network."""

import os
import sys
import tempfile

# Set before anything imports helpers, which read the jobs folder once. Notebooks run in kernels of
# their own: only the environment reaches them.
FOLDER = tempfile.TemporaryDirectory(prefix="cookbook-jobs-")
os.environ |= {"COOKBOOK_MODE": "replay", "COOKBOOK_JOBS": FOLDER.name}

# Only who asks for another server may reach it.
if not {"--server", "--live"} & {argument.split("=")[0] for argument in sys.argv}:
    os.environ |= {
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def pytest_addoption(parser):
    group = parser.getgroup("contract", "tests/contract against another server than the replay")
    group.addoption("--server", metavar="URL", help="base URL; the key from OPENAI_API_KEY")
    group.addoption("--live", action="store_true", help="OpenAI, or OPENAI_BASE_URL, with that key")
    group.addoption("--model", default="gpt-6-luna", help="the model that is asked")


def pytest_configure(config):
    config.add_cleanup(FOLDER.cleanup)
