"""The notebooks with only their marked cells edited, on tables they have never seen: all cells run.

What goes wrong in them ends in a sentence as well.
"""

import json
import re

import matplotlib as mpl
import pandas as pd
import pytest
from PIL import Image

import helpers
from helpers.paths import ROOT
from helpers.replay.clients import replay_client

TICKETS = (ROOT / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
USAGE = {"prompt_tokens": 400, "completion_tokens": 4, "total_tokens": 404}
SERVER_ERROR = {"status_code": 500, "body": {"error": {"message": "Sorry about that."}}}

mpl.use("agg")


class Notebook:
    """The code cells of a notebook by their ids, to be edited and run in a folder of its own."""

    def __init__(self, name, folder):
        cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]
        self.cells = {c["id"]: "".join(c["source"]) for c in cells if c["cell_type"] == "code"}
        self.shown = []
        self.names = {
            "display": lambda value, **_: self.shown.append(value),
            "print": lambda *words: self.shown.append(" ".join(map(str, words))),
        }
        self.folder = folder

    def edit(self, number, **settings):
        """Changes values in the cell `# EDIT number`, each ``NAME = ...`` in a line of its own."""
        source = self._marked(number)
        for name, value in settings.items():
            (old,) = re.findall(rf'(?ms)^{name} = (?:""".*?"""|[^\n]*)$', source)
            source = source.replace(old, f"{name} = {value!r}")
        self.replace(number, source)

    def replace(self, number, source):
        """Puts another source in the place of the cell `# EDIT number`."""
        marked = self._marked(number)
        (place,) = (name for name, text in self.cells.items() if text == marked)
        self.cells[place] = source

    def run(self, *, until=None, client=None):
        """Runs all cells, in order, or those up to one."""
        self.names |= {"JOBS": self.folder, "CLIENT": client}
        for name, source in self.cells.items():
            if name == "connect" and client:
                source = "client = CLIENT"
            source = source.replace("helpers.JOBS", "JOBS")
            exec(source, self.names)  # noqa: S102 (the notebook is our own)
            if name == until:
                return

    def _marked(self, number):
        (source,) = (s for s in self.cells.values() if s.startswith(f"# EDIT {number}\n"))
        return source


def of_the_tickets(pattern):
    """A piece of the README's example on tickets."""
    (found,) = re.findall(pattern, TICKETS, re.DOTALL)
    return found


def replay_of(folder, requests, *answers, more=()):
    """A client whose replay gives every request these answers, one a try; ``more`` has others."""
    lines = [
        json.dumps({"custom_id": r["custom_id"], "request": r["body"], "answers": given})
        for asked, given in ((requests, answers), *more)
        for r in asked
    ]
    (folder / "recordings").mkdir()
    (folder / "recordings" / "some.jsonl").write_text("\n".join(lines), "utf-8")
    return replay_client(folder / "replay.sqlite", recordings=folder / "recordings")


def said(content):
    message = {"role": "assistant", "content": content}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
    return {"status_code": 200, "body": {"object": "chat.completion", **body}}


def test_three_edited_cells_make_the_movie_notebook_answer_the_tickets(tmp_path):
    notebook = Notebook("movie_categorization", tmp_path)
    table = helpers.DATA / "tickets.csv"
    settings = {"SHOW": ["subject", "message"], "LABEL": "handled_by", "FIELD": "category"}
    notebook.edit(1, TABLE=str(table), **settings)
    notebook.replace(2, of_the_tickets(r"class Answer\(BaseModel\):.*?reply: str\n"))
    question = of_the_tickets(r'PROMPT = """.*?"""\n')
    rest = of_the_tickets(r"def text_of.*?return \{[^}]*\}\n")
    notebook.replace(3, question + rest)
    notebook.run()
    result = notebook.names["result"]
    assert result["outcome"].tolist() == ["ok"] * 120
    assert (result["category"] == result["handled_by"]).mean() > 0.8
    assert "'delivery' for every row is right in 21 of 120." in "\n".join(map(str, notebook.shown))


@pytest.fixture
def soups(tmp_path):
    """A movie notebook edited for a table without ids and without anything to compare with."""
    table = pd.DataFrame({"dish": ["Borscht", "Pho", "Gazpacho"], "note": ["hot", "hot", "cold"]})
    table.to_csv(tmp_path / "soups.csv", index=False)
    notebook = Notebook("movie_categorization", tmp_path / "jobs")
    shown = {"SHOW": ["dish", "note"], "LABEL": None, "FIELD": "stars"}
    notebook.edit(1, TABLE=str(tmp_path / "soups.csv"), **shown)
    fields = "    stars: int\n    drinks: list[str]\n"
    head = "class Answer(BaseModel):\n    model_config = ConfigDict(extra='forbid')\n"
    notebook.replace(2, head + fields)
    source = notebook._marked(3).replace('row["Overview"]', 'row["dish"]')
    notebook.replace(3, re.sub(r'(?s)""".*?"""', "'Stars and drinks, please.'", source))
    return notebook


def requests_of(notebook, until="request"):
    notebook.run(until=until)
    return [*map(notebook.names["request_for"], helpers.rows(notebook.names["table"]))]


def test_a_table_without_ids_and_labels_runs_to_the_end(soups, tmp_path):
    client = replay_of(tmp_path, requests_of(soups), said('{"stars": 4, "drinks": ["kvass"]}'))
    soups.run(client=client)
    assert soups.names["result"][["id", "stars"]].to_numpy().tolist() == [
        ["row-1", 4], ["row-2", 4], ["row-3", 4],
    ]  # fmt: skip


def test_a_job_whose_every_row_failed_runs_to_the_end(soups, tmp_path):
    requests = requests_of(soups)
    soups.run(client=replay_of(tmp_path, requests, said('{"stars": "many"}')))
    assert soups.names["result"]["code"].tolist() == ["invalid_answer"] * 3
    assert soups.names["ok"].empty


def test_a_batch_by_hand_without_an_output_file_is_read(soups, tmp_path):
    requests = requests_of(soups)
    good = said('{"stars": 4, "drinks": []}')
    soups.run(client=replay_of(tmp_path, requests, SERVER_ERROR, good))
    assert soups.names["batch"].output_file_id is None
    assert soups.names["result"]["outcome"].tolist() == ["ok"] * 3


def test_where_no_trial_was_answered_the_reasons_are_shown_and_the_run_stops(soups, tmp_path):
    requests_of(soups)
    with pytest.raises(AssertionError, match=r"No trial was answered\. Section 3 has the reasons"):
        soups.run(client=replay_client(tmp_path / "empty.sqlite"))
    assert soups.names["fields"]["reason"].str.contains("Not recorded").all()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "my pictures"
    folder.mkdir()
    for number, name in enumerate(("sofa, red.jpg", "lamp-2.PNG", "椅子.jpg")):
        Image.new("RGB", (900, 300), (80 * number, 40, 40)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_two_edited_cells_make_the_furniture_notebook_caption_a_folder(tmp_path, folder):
    notebook = Notebook("furniture_captioning", tmp_path / "jobs")
    notebook.edit(1, FOLDER=str(folder))
    notebook.edit(2, PROMPT="What is it?")
    notebook.run(until="request")
    names = notebook.names
    for cell in ("judge", "run"):
        exec(notebook.cells[cell].split("\nasked =")[0], names)  # noqa: S102 (our own)
    captioned = names["items"].assign(answer="A thing.")
    captions, verdicts = (
        [*map(names[function], helpers.rows(captioned))]
        for function in ("request_for", "verdict_for")
    )
    verdict = said('{"remark": "Too short.", "verdict": "incomplete"}')
    client = replay_of(tmp_path, captions, said("A thing."), more=[(verdicts, [verdict])])
    notebook.run(client=client)
    assert names["result"]["title"].tolist() == ["lamp-2", "sofa, red", "椅子"]
    assert names["result"]["answer"].tolist() == ["A thing."] * 3
    assert names["graded"]["verdict"].tolist() == ["incomplete"] * 3


def test_a_table_of_links_without_an_answer_runs_to_the_end(tmp_path):
    links = ["https://a.example/1.jpg", "https://a.example/2.jpg"]
    table = pd.DataFrame({"id": ["a", "b"], "title": ["Chair", "Lamp"], "primary_image": links})
    table.to_csv(tmp_path / "links.csv", index=False)
    notebook = Notebook("furniture_captioning", tmp_path / "jobs")
    notebook.edit(1, TABLE=str(tmp_path / "links.csv"))
    notebook.run(until="request")
    requests = [*map(notebook.names["request_for"], helpers.rows(notebook.names["items"]))]
    stopped = said("")
    stopped["body"]["choices"][0]["finish_reason"] = "content_filter"
    notebook.run(client=replay_of(tmp_path, requests, stopped))
    assert notebook.names["result"]["code"].tolist() == ["content_filter"] * 2
    assert notebook.names["graded"].empty
