"""The data as promised: the table, the recordings that belong to it, the digests."""

import hashlib
import json
import re

import pandas as pd
import pytest
from PIL import Image

import helpers
from helpers.images import embeddable
from helpers.paths import DATA, ROOT
from support import RECORDED

MOVIES = pd.read_csv(DATA / "movies.csv")
GENRES = {
    "Action", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Drama", "Family",
    "Fantasy", "Film-Noir", "History", "Horror", "Music", "Musical", "Mystery", "Romance",
    "Sci-Fi", "Sport", "Thriller", "War", "Western",
}  # fmt: skip


@pytest.fixture(scope="module")
def notebook() -> dict:
    """The names that the movie notebook's own cells define up to `request_for`."""
    names = {}
    text = (ROOT / "notebooks" / "movie_categorization.ipynb").read_text("utf-8")
    for cell in json.loads(text)["cells"]:
        if cell["id"] in ("config", "settings", "answer", "request"):
            exec("".join(cell["source"]), names)  # noqa: S102 (the notebook is our own)
    return names


def test_the_table_has_the_columns_of_the_imdb_table_and_an_id():
    wanted = ["id", "Series_Title", "Released_Year", "Runtime", "Genre", "Director", "Overview"]
    assert list(MOVIES.columns) == wanted
    assert len(MOVIES) == 250
    assert helpers.with_ids(MOVIES)["id"].tolist() == MOVIES["id"].tolist()


def test_every_film_is_well_formed():
    assert MOVIES["Series_Title"].is_unique
    assert MOVIES["Overview"].is_unique
    assert MOVIES["Overview"].str.split().str.len().between(15, 45).all()
    assert MOVIES["Released_Year"].between(1920, 2026).all()
    assert MOVIES["Runtime"].str.fullmatch(r"\d+ min").all()
    assert all(set(genres.split(", ")) <= GENRES for genres in MOVIES["Genre"])


def test_films_come_from_every_decade_and_no_two_overviews_begin_alike():
    assert set(MOVIES["Released_Year"] // 10 * 10) >= set(range(1920, 2030, 10))
    beginnings = MOVIES["Overview"].str.split().str[:3].str.join(" ")
    assert beginnings.is_unique


def test_the_recordings_are_exactly_the_notebooks_requests(notebook):
    asked = {row["id"]: notebook["request_for"](row)["body"] for row in helpers.rows(MOVIES)}
    assert {r["custom_id"]: r["request"] for r in RECORDED} == asked


def test_every_answer_is_a_sample_that_says_so_and_fits_the_schema(notebook):
    outcomes = []
    for recording in RECORDED:
        answer = recording["answers"][-1]
        assert answer["body"]["model"] == "sample-written-for-this-cookbook"
        line = {"custom_id": recording["custom_id"], "response": answer}
        outcomes.append(helpers.outcome_of(line, notebook["Answer"]))
    assert {o.code for o in outcomes if o.outcome != "ok"} == {"refusal", "truncated"}
    summaries = [o.answer.summary for o in outcomes if o.outcome == "ok"]
    assert len(set(summaries)) == len(summaries) == 248
    assert all(8 <= len(summary.split()) <= 25 for summary in summaries)
    # One sentence: the prompt asks for one.
    assert not [s for s in summaries if re.search(r"[.?!]\s", s)]
    assert all(
        len(set(o.answer.categories)) == len(o.answer.categories) for o in outcomes if o.answer
    )


def test_no_summary_repeats_a_piece_of_its_overview():
    overviews = MOVIES.set_index("id")["Overview"].to_dict()
    for recording in RECORDED:
        content = recording["answers"][-1]["body"]["choices"][0]["message"]["content"] or ""
        words = re.findall(r"\w+", content.lower())
        pieces = {tuple(words[i : i + 6]) for i in range(len(words) - 5)}
        source = re.findall(r"\w+", overviews[recording["custom_id"]].lower())
        assert not pieces & {tuple(source[i : i + 6]) for i in range(len(source) - 5)}


def test_the_digests_in_the_readme_are_those_of_the_files():
    text = (DATA / "README.md").read_text("utf-8")
    digests = re.findall(r"^    ([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)
    assert {name for _, name in digests} == {
        *("movies.csv", "furniture.csv", "tickets.csv", "prices.csv", "models.csv"),
        *("recordings/movies.jsonl", "recordings/furniture.jsonl", "recordings/tickets.jsonl"),
    }
    for digest, name in digests:
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest, name


FURNITURE = pd.read_csv(DATA / "furniture.csv")
PICTURES = sorted((DATA / "furniture").glob("*.jpg"))
CAPTIONS = [
    json.loads(line)
    for line in (DATA / "recordings" / "furniture.jsonl").read_text("utf-8").splitlines()
]


def test_the_catalogue_has_the_columns_of_the_amazon_table_and_an_id():
    amazon = ["title", "primary_image", "categories", "color", "material", "style"]
    assert list(FURNITURE.columns) == ["id", *amazon, "product_dimensions"]
    assert len(FURNITURE) == 48
    assert helpers.with_ids(FURNITURE)["title"].is_unique
    kinds = FURNITURE["categories"].str.extract(r"'([^']+)'\]$")[0]
    assert kinds.nunique() >= 16


def test_every_item_has_a_picture_and_every_picture_an_item():
    assert {path.stem for path in PICTURES} == set(FURNITURE["id"])
    links = FURNITURE["primary_image"].str.startswith("https://")
    assert links.sum() == 1
    named = FURNITURE.loc[~links, "primary_image"]
    assert all((DATA / name).exists() for name in named)


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_sent_as_it_is(path):
    with Image.open(path) as image:
        assert image.size == (768, 576)
    assert 25_000 <= path.stat().st_size <= 60_000
    assert embeddable(path) == ("image/jpeg", path.read_bytes())


def test_every_caption_is_a_sample_of_one_short_sentence():
    captions = [r for r in CAPTIONS if "," not in r["custom_id"]]
    bodies = [recording["answers"][-1]["body"] for recording in captions]
    assert {body["model"] for body in bodies} == {"sample-written-for-this-cookbook"}
    texts = [body["choices"][0]["message"]["content"] for body in bodies]
    written = [text for text in texts if text]
    assert len(set(written)) == len(written) == 47
    assert all(10 <= len(text.split()) <= 25 and text.endswith(".") for text in written)


def test_every_verdict_is_a_sample_with_a_remark_of_its_own_and_not_all_are_kind():
    recorded = [r for r in CAPTIONS if r["custom_id"].endswith(", verdict")]
    bodies = [recording["answers"][-1]["body"] for recording in recorded]
    assert {body["model"] for body in bodies} == {"sample-written-for-this-cookbook"}
    verdicts = [json.loads(body["choices"][0]["message"]["content"]) for body in bodies]
    assert len({verdict["remark"] for verdict in verdicts}) == len(verdicts) == 16
    kinds = {verdict["verdict"] for verdict in verdicts}
    assert kinds == {"accurate", "incomplete", "unsupported"}


def test_recordings_name_pictures_by_their_digest_and_hold_none():
    assert "base64" not in (DATA / "recordings" / "furniture.jsonl").read_text("utf-8")


TICKETS = pd.read_csv(DATA / "tickets.csv")
REPLIES = [
    json.loads(line)
    for line in (DATA / "recordings" / "tickets.jsonl").read_text("utf-8").splitlines()
]


def test_the_tickets_are_well_formed_and_no_two_begin_alike():
    assert list(TICKETS.columns) == ["id", "handled_by", "subject", "message"]
    assert len(TICKETS) == 120
    assert helpers.with_ids(TICKETS)["id"].tolist() == TICKETS["id"].tolist()
    assert TICKETS["handled_by"].value_counts().between(18, 22).all()
    assert TICKETS["message"].str.split().str.len().between(15, 95).all()
    assert TICKETS["message"].str.split().str[:3].str.join(" ").is_unique
    for text in (TICKETS["subject"] + " " + TICKETS["message"]).tolist():
        assert not re.search(r"@\w+\.\w|https?://|\+\d{2} ?\d", text), text


def test_every_reply_is_a_sample_that_says_so():
    replies = []
    for recording in REPLIES:
        [answer] = recording["answers"]
        assert answer["body"]["model"] == "sample-written-for-this-cookbook"
        line = {"custom_id": recording["custom_id"], "response": answer}
        replies.append(json.loads(helpers.outcome_of(line).answer)["reply"])
    assert len(set(replies)) == 120
    assert all(10 <= len(reply.split()) <= 60 for reply in replies)
