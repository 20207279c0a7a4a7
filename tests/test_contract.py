"""The contract as a command: against any server by its address, with a table at the end."""

import os
import subprocess
import sys

from helpers.paths import ROOT
from helpers.replay import create_app
from support import served

ANSWERS = ROOT / "tests" / "contract" / "recordings"


def contract(*options, **environment):
    command = [sys.executable, "-m", "pytest", "-q", "tests/contract", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        command, cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_against_a_server_it_ends_with_a_table_of_what_held(tmp_path):
    with served(create_app(tmp_path / "replay.sqlite", recordings=ANSWERS)) as address:
        code, said = contract(f"--server={address}")
    assert code == 0, said
    table = said.split("the contract =")[1]
    held = table.count("\nheld      ")
    assert f"\n{held} of {held} assumptions held." in table
    assert held > 40
    assert table.count("\n          seen: ") == table.count("\n          from: ") == held
    assert "held      A new batch is validating, with its window, endpoint and file" in table


def test_live_says_what_it_costs_and_a_second_run_picks_the_batch_up(tmp_path):
    with served(create_app(tmp_path / "replay.sqlite", recordings=ANSWERS)) as address:
        live = {"OPENAI_API_KEY": "made-up", "OPENAI_BASE_URL": address}
        runs = [contract("--live", "-v", **live) for _ in range(2)]
    assert [code for code, _ in runs] == [0, 0], runs[-1][1]
    assert "contract: at most 12 tiny requests to gpt-6-luna" in runs[0][1]
    walks = [said.split("finalizing to completed\n")[1].splitlines()[0].strip() for _, said in runs]
    assert walks == ["seen: validating, in_progress, finalizing, completed", "seen: completed"]


def test_what_does_not_hold_is_named_with_the_document_it_rests_on(tmp_path):
    # A replay without an answer to the contract's requests.
    with served(create_app(tmp_path / "replay.sqlite", recordings=tmp_path)) as address:
        code, said = contract(f"--server={address}")
    assert code == 1
    assert "NOT HELD  request_counts tell successes from failures" in said
    assert "what this rests on" in said
    assert "openai/types/batch_request_counts.py" in said


def test_live_without_a_key_sends_nothing_and_says_what_to_set():
    code, said = contract("--live")
    assert code == 4
    assert "Set OPENAI_API_KEY" in said
