"""The three edits that the notebooks describe, made to their own cells, on data unknown to them."""

import json
import re

import pandas as pd
import pytest
from PIL import Image

import helpers
from helpers.client import replay_client
from helpers.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")
TICKETS = README.split("```python\n")[1].split("```")[0]


class Cells:
    """The code cells of a notebook, to be edited and run with a jobs folder of their own."""

    def __init__(self, name, jobs):
        cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]
        self.sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        self.prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        self.sources = [source.replace("helpers.JOBS", "JOBS") for source in self.sources]
        self.names = {"JOBS": jobs}

    def edit(self, old, new):
        """Puts new text in the only place of the old; drift between text and code ends here."""
        assert sum(source.count(old) for source in self.sources) == 1, old
        self.sources = [source.replace(old, new) for source in self.sources]

    def run(self, first, last):
        """Runs the cells from the one to the other, each named by something in it."""
        places = [self._place(mark) for mark in (first, last)]
        for source in self.sources[places[0] : places[1] + 1]:
            exec(source, self.names)  # noqa: S102 (the notebook is our own)

    def _place(self, mark):
        (place,) = (n for n, source in enumerate(self.sources) if mark in source)
        return place


def of_the_tickets(pattern):
    """A piece of the README's example on tickets."""
    (found,) = re.findall(pattern, TICKETS, re.DOTALL)
    return found


def test_three_edits_make_the_movie_notebook_answer_the_tickets(tmp_path):
    notebook = Cells("movie_categorization", tmp_path)
    # 1. the table
    notebook.edit('"movies.csv"', '"tickets.csv"')
    notebook.edit('TITLE = "Series_Title"', 'TITLE = "subject"')
    notebook.edit('SHOW = [TITLE, "Genre", "Overview"]', 'SHOW = [TITLE, "message"]')
    # 2. the ids: the table has its own
    # 3. the question and the answer
    notebook.edit(
        'PROMPT = """You sort films for a catalogue.',
        of_the_tickets(r'PROMPT = """.*?"""') + '\nOLD = """You sort films for a catalogue.',
    )
    notebook.edit('"max_completion_tokens": 120', '"max_completion_tokens": 250')
    notebook.edit(
        "    categories: list[Category] = Field(min_length=1, max_length=3)\n    summary: str",
        of_the_tickets(r"    category: Literal.*?reply: str"),
    )
    notebook.edit("class MovieAnswer(BaseModel)", "class Answer(BaseModel)")
    notebook.sources = [source.replace("MovieAnswer", "Answer") for source in notebook.sources]
    notebook.edit('row["Overview"]', of_the_tickets(r"f\"\{row\['subject'\]\}.*?\""))
    notebook.run(first="MODEL =", last="helpers.merge(")
    outcomes = notebook.names["outcomes"]
    assert len(outcomes) == 120
    assert set(outcomes["outcome"]) == {"ok"}
    answered = notebook.names["movies"].join(outcomes, on="id")
    assert (answered["category"] == answered["handled_by"]).mean() > 0.8


def test_the_ids_may_be_left_to_the_notebook(tmp_path):
    table = pd.DataFrame({"Overview": ["A train leaves."], "Series_Title": "One", "Genre": "War"})
    table.to_csv(tmp_path / "mine.csv", index=False)
    notebook = Cells("movie_categorization", tmp_path)
    notebook.edit('helpers.DATA / "movies.csv"', f'"{tmp_path / "mine.csv"}"')
    notebook.run(first="MODEL =", last="pprint(")
    assert notebook.names["first"]["custom_id"] == "row-1"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "my pictures"
    folder.mkdir()
    for number, name in enumerate(("sofa, red.jpg", "lamp-2.PNG", "rug.jpg")):
        Image.new("RGB", (900, 300), (80 * number, 40, 40)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_three_edits_make_the_furniture_notebook_caption_a_folder(tmp_path, folder):
    notebook = Cells("furniture_captioning", tmp_path)
    # 1. the pictures
    notebook.edit('FOLDER = helpers.DATA / "furniture"', f'FOLDER = "{folder}"')
    # 3. the question
    notebook.edit("You write captions for the pictures of a furniture shop.", "You describe rooms.")
    notebook.run(first="MODEL =", last="MODEL =")
    notebook.run(first="PROMPT =", last="PROMPT =")
    # 2. the ids
    (folder / "sofa_ red.jpg").touch()
    with pytest.raises(helpers.RowError, match="'sofa__red_jpg' is that of rows 3, 4"):
        notebook.run(first="FOLDER =", last="FOLDER =")
    (folder / "sofa_ red.jpg").unlink()
    notebook.run(first="FOLDER =", last="FOLDER =")
    asked = [*map(notebook.names["request_for"], helpers.rows(notebook.names["mine"]))]
    assert [request["custom_id"] for request in asked] == ["lamp-2_PNG", "rug_jpg", "sofa__red_jpg"]
    # The whole job, as the text gives it.
    (call,) = re.findall(r"`outcomes = (helpers\.run\(.*?)` is the whole job", notebook.prose)
    notebook.names["client"] = replay_client(
        tmp_path / "replay.sqlite", recordings=recorded(tmp_path, asked)
    )
    outcomes = eval(call.replace("helpers.JOBS", "JOBS"), notebook.names)
    assert outcomes["answer"].to_dict() == dict.fromkeys(notebook.names["ids"], "A thing.")
    (gallery,) = re.findall(r"`(helpers\.Gallery\(mine.*?)` shows", notebook.prose)
    shown = eval(gallery, notebook.names | {"outcomes": outcomes})
    assert shown.text().splitlines() == ["lamp 2: A thing.", "rug: A thing.", "sofa, red: A thing."]


def recorded(tmp_path, requests):
    """A folder with an answer to each request."""
    usage = {"prompt_tokens": 400, "completion_tokens": 4, "total_tokens": 404}
    message = {"role": "assistant", "content": "A thing."}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    answers = [{"status_code": 200, "body": {"object": "chat.completion", **body}}]
    lines = [
        json.dumps({"custom_id": r["custom_id"], "request": r["body"], "answers": answers})
        for r in requests
    ]
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "some.jsonl").write_text("\n".join(lines), "utf-8")
    return tmp_path / "recordings"
