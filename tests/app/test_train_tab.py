"""The Train tab's handlers: a job is its browser's own, and whatever is sent gets an answer."""

import io
import json
import math
import zipfile

import gradio as gr
import pytest
import torch

from app import models, plans, train_controls, train_scene, ways
from app.jobs import PAUSED, RUNNING, Registry
from app.pairs import ALONE
from app.pictures import built_in
from app.run_controls import NOISE, PICTURE
from app.settings import Settings
from app.tabs import train as tab
from model.checkpoint import FOLDER, load_checkpoint
from tests.app.picture_files import photo, saved, written
from tests.app.test_archives import png, zipped
from tests.app.train_inputs import ENDLESS, VALUES, inputs
from tests.browser.driver import eventually

SKIP = gr.skip()
SHOWING = 15  # components that `watch` has a value for
JUNK = [
    None, [], "x", 3, {"job": 3}, {"job": None, "models": "x"}, {"models": [None, {}, 3]},
    {"owner": ["a"], "job": ["b"]}, {"job": "a foreign key", "models": ["another"]},
]  # fmt: skip


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """The process's registry, a fresh one with two places."""
    monkeypatch.setattr(plans, "SAMPLES", (2, 2))
    monkeypatch.setattr(plans, "SAMPLE_STEPS", 2)
    registry = Registry(places=2, waiting=1, grace=600)
    monkeypatch.setattr(tab, "REGISTRY", registry)
    yield registry
    registry.close()
    assert eventually(lambda: all(job.over for job in registry._jobs.values()), 120)


def started(mine=None, picture=None, **changes):
    """What a browser remembers after Train, and the job."""
    mine, clock, _ = tab.start(mine, picture, *inputs(**changes))
    assert clock["active"]
    return mine, tab.own_job(mine)


def ended(mine=None, picture=None, **changes):
    mine, job = started(mine, picture, **changes)
    assert eventually(lambda: job.over, 120)
    return mine, job


@pytest.fixture
def done():
    return ended(amount=2)


def has_steps(job, count=1):
    return eventually(lambda: len(job.records) >= count, 120)


def test_the_inputs_of_these_tests_are_in_the_order_of_the_page():
    assert tuple(VALUES) == train_controls.FIELDS


# -- start and watch -----------------------------------------------------------------------------


def test_a_training_is_watched_from_its_start_to_its_end():
    mine, job = started(**ENDLESS)
    assert mine["job"] == job.key
    assert mine["models"] == [job.key]
    assert has_steps(job, 3)
    values = tab.watch(mine, 0)
    assert len(values) == SHOWING
    progress, scene, loss, bands, algorithm, frames, note, own, *rest = values
    begin, pause, stop, fetch, walk, results, clock = rest
    assert progress["title"] == "Training · digits"
    assert 0 <= progress["done"] <= progress["of"] == 1000
    assert "pictures/s" in progress["text"]
    assert scene["rising"]
    assert frames == (job.key, job.film[-1].step) or len(job.film) > 1  # it goes on meanwhile
    json.dumps([progress, scene, loss, bands, algorithm], allow_nan=False)
    assert note["visible"] is False
    assert own == ()  # nothing to sample yet
    assert (begin["interactive"], pause["interactive"], stop["interactive"]) == (False, True, True)
    assert (fetch["visible"], walk["visible"], results["visible"]) == (False, False, True)
    assert clock["active"]
    tab.stop(mine)
    assert eventually(lambda: job.over, 120)
    progress, scene, *_, note, own, begin, pause, stop, fetch, walk, results, clock = tab.watch(
        mine, frames
    )
    assert progress is None
    assert (scene == SKIP) == (frames == (job.key, job.film[-1].step))  # new ones are sent
    steps = f"after {job.steps} steps"
    assert note["value"].startswith(f"**Ended {steps}.** It was stopped. The model is in the lists")
    assert own == ((f"yours: digits, step {job.steps}", job.key),)
    assert (begin["interactive"], pause["interactive"], stop["interactive"]) == (True, False, False)
    assert (fetch["visible"], walk["visible"], results["visible"]) == (True, True, True)
    assert not clock["active"]


def test_a_film_is_sent_once(done):
    mine, _ = done
    frames = tab.watch(mine, 0)[5]
    again = tab.watch(mine, frames)
    assert (again[1], again[5]) == (SKIP, SKIP)
    assert tab.watch(mine, ("another", 3))[1] != SKIP


@pytest.mark.parametrize("mine", JUNK, ids=repr)
def test_what_a_browser_may_remember_is_not_believed(mine):
    known = tab.remembered(mine)
    assert len(known["owner"]) >= 1
    assert isinstance(known["owner"], str)
    assert isinstance(known["job"], str)
    assert all(isinstance(key, str) for key in known["models"])
    values = tab.watch(mine, 0)
    assert len(values) == SHOWING
    assert values[0] is None
    assert not values[-1]["active"]
    found, clock, own, _ = tab.find_again(mine)
    assert not clock["active"]
    assert own == ()
    assert found == tab.remembered(found)  # and it stays what it now is
    for handler in (tab.pause, tab.stop, tab.download, lambda m: tab.export("CSV", m)):
        with pytest.raises(gr.Error, match="There is no training: start one first"):
            handler(mine)


def test_two_browsers_without_a_memory_are_two_owners():
    one, two = (tab.find_again(None)[0] for _ in range(2))
    assert one["owner"] != two["owner"]
    assert len(one["owner"]) >= 32


def test_one_browser_trains_one_thing_at_a_time():
    mine, job = started(**ENDLESS)
    with pytest.raises(gr.Error, match="A training of yours is under way"):
        tab.start(mine, None, *inputs())
    tab.stop(mine)
    assert eventually(lambda: job.over, 120)
    mine, second = started(mine, amount=1)
    assert second is not job
    assert mine["models"] == [second.key, job.key]


def test_two_users_have_nothing_to_do_with_each_other():
    one, first = started(**ENDLESS)
    two, second = started(**ENDLESS)
    assert one["owner"] != two["owner"]
    assert has_steps(first)
    assert has_steps(second)
    thief = two | {"owner": one["owner"], "job": "guessed", "models": ["guessed"]}
    assert tab.watch(thief, 0)[0] is None
    with pytest.raises(gr.Error, match="There is no training"):
        tab.stop(thief)
    tab.stop(two)
    assert eventually(lambda: second.over, 120)
    assert not first.over
    assert tab.watch(two, 0)[7] == ((f"yours: digits, step {second.steps}", second.key),)
    assert tab.watch(one, 0)[7] == ()


def test_those_who_wait_are_told_their_place_and_a_full_queue_says_so(registry):
    registry.places = 1
    first, _ = started(**ENDLESS)
    second, job = started(amount=1)
    values = tab.watch(second, 0)
    note, clock = values[6]["value"], values[-1]
    assert note.startswith("**Waiting**, number 1 in line: about ")
    assert clock["active"]
    assert values[0] is None
    with pytest.raises(gr.Error, match="All 1 places are taken and 1 trainings wait"):
        tab.start(None, None, *inputs())
    tab.stop(second)
    assert "It was stopped before it began" in tab.watch(second, 0)[6]["value"]
    assert job.over
    tab.stop(first)


def test_pause_and_resume_are_one_button():
    mine, job = started(**ENDLESS)
    assert has_steps(job)
    tab.pause(mine)
    values = tab.watch(mine, 0)
    assert job.state == PAUSED
    assert values[0]["title"] == "Paused · digits"
    assert values[6]["value"].startswith("**Paused.**")
    assert (values[9]["value"], values[9]["interactive"]) == ("Resume", True)
    tab.pause(mine)
    assert job.state == RUNNING
    assert tab.watch(mine, 0)[9]["value"] == "Pause"


def test_a_reload_finds_the_job_and_the_models_again(done):
    mine, job = done
    remembered = json.loads(json.dumps(mine))  # as a browser keeps it
    found, clock, own, _ = tab.find_again(remembered)
    assert found == mine
    assert clock["active"]  # once more, to show how it ended
    assert [key for _, key in own] == [job.key]


@pytest.mark.parametrize(("kept", "words"), [(True, "in the lists"), (False, "too little")])
def test_a_training_that_is_no_longer_known_is_told_of_once(done, monkeypatch, kept, words):
    mine, _ = done
    monkeypatch.setattr(tab.REGISTRY, "find", lambda key: None)  # the process began anew
    if not kept:
        monkeypatch.setattr(tab.models, "find", lambda key: None)
    values = tab.watch(mine, 0)
    assert words in values[6]["value"]
    assert not values[-1]["active"]
    found, clock, _, note = tab.find_again(mine)
    assert words in note["value"]
    assert not clock["active"]
    assert tab.find_again(found)[3] == SKIP


def test_the_waiting_time_is_told_before_a_budget_in_steps_has_begun(registry):
    registry.places = 1
    started(**ENDLESS)
    mine, _ = started(amount=1)
    assert "minute" in tab.watch(mine, 0)[6]["value"]


BAD = [
    ({"learning_rate": 0}, "The learning rate must be from"),
    ({"learning_rate": math.nan}, "The learning rate must be from"),
    ({"learning_rate": "fast"}, "The learning rate must be a number"),
    ({"learning_rate": [1]}, "The learning rate must be a number"),
    ({"batch": None}, "The batch must be a whole number"),
    ({"amount": 10**9}, "The number of steps must be a whole number from 1 to 20,000"),
    ({"source": plans.FEW}, "Choose 1 to 20 pictures to train on, got 0"),
    ({"source": plans.ZIP}, "The file is no zip archive"),
    ({"source": plans.HUB}, "Give the dataset's id as owner/name"),
    ({"base": "nobody"}, "The model must be one of"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_setting_is_one_sentence_and_starts_nothing(registry, changes, sentence):
    with pytest.raises(gr.Error, match=sentence) as refused:
        tab.start(None, None, *inputs(**changes))
    assert "\n" not in str(refused.value)
    assert registry._jobs == {}


def test_a_dataset_without_a_network_ends_in_one_sentence(monkeypatch):
    monkeypatch.setattr("model.hugging_face._hub_answers", lambda: False)
    mine, job = ended(source=plans.HUB, dataset="nobody/nothing-at-all")
    note = tab.watch(mine, 0)[6]["value"]
    assert note.startswith("**Ended.** The data set nobody/nothing-at-all could not be reached")
    assert job.checkpoint is None


def test_a_training_that_diverges_says_so_in_the_page():
    mine, _ = ended(learning_rate=100, amount=2000)
    note = tab.watch(mine, 0)[6]["value"]
    assert note.startswith("**Ended.** Training diverged: the loss was")
    assert "well below 100" in note
    assert note.count("**") == 2


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", plans.SOURCES)
def test_another_source_suggests_its_settings_and_shows_its_field(source):
    values = tab.suggest(source)
    suggested = dict(zip(tab.SUGGESTS, values, strict=False))
    assert suggested == plans.SUGGESTED[source]
    unit, one, few, folder, hub, fine, base = values[len(tab.SUGGESTS) :]
    assert (unit, base) == (plans.SECONDS, plans.SCRATCH)
    shown = {plans.ONE: one, plans.FEW: few, plans.ZIP: folder, plans.HUB: hub}
    assert [kind for kind, field in shown.items() if field["visible"]] == (
        [] if source == plans.DIGITS else [source]
    )
    assert fine["visible"] == (source in (plans.ONE, plans.FEW, plans.ZIP))


def test_what_is_suggested_stays_within_the_servers_limits(monkeypatch):
    for module in (tab, train_controls):
        monkeypatch.setattr(module, "current", lambda: Settings(train_size=32, train_seconds=30))
    values = dict(zip(tab.SUGGESTS, tab.suggest(plans.ONE), strict=False))
    assert (values["size"], values["amount"]) == (32, 30)
    assert "up to 30 s" in train_controls.allowance()
    assert "32×32 pixels" in train_controls.allowance()


@pytest.mark.parametrize("source", [None, "x", [plans.ONE], 3])
def test_a_source_that_is_none_is_refused(source):
    with pytest.raises(gr.Error, match="The data must be one of"):
        tab.suggest(source)


@pytest.mark.parametrize("source", plans.SOURCES)
def test_settings_are_described_before_anything_is_chosen(source):
    size, command, python = tab.describe(None, *inputs(source=source))
    network = plans.make_plan(
        picture=built_in("hopper"), **dict(zip(train_controls.FIELDS, inputs(), strict=True))
    ).network
    assert size == f"{plans.count_parameters(network):,} parameters."
    name = {plans.DIGITS: "digits", plans.HUB: "owner/name"}.get(source, "PICTURES/")
    assert f"--data {name} " in command
    assert f"load_data({name!r}, " in python


@pytest.mark.parametrize("source", [plans.ONE, plans.FEW, plans.ZIP])
def test_fine_tuning_is_described_before_anything_is_chosen(source):
    size, _, python = tab.describe(None, *inputs(source=source, base="digits"))
    assert "parameters" in size
    assert "load_checkpoint('digits')" in python


def test_what_is_wrong_stands_in_place_of_the_description():
    size, command, python = tab.describe(None, *inputs(batch=0))
    assert size.startswith("The batch must be a whole number")
    assert (command, python) == (SKIP, SKIP)
    for junk in ({"source": ["x"]}, {"source": None}, {"base": {}}, {"dataset": 3}):
        assert isinstance(tab.describe(None, *inputs(**junk))[0], str)


# -- models that come and go ---------------------------------------------------------------------


def test_a_model_goes_out_and_comes_back_in(done, tmp_path):
    mine, job = done
    name, content = tab.download(mine)
    assert name == "unnoise-model.zip"
    path = written(tmp_path, content, name)
    other, own, note = tab.upload({"owner": "b", "job": "", "models": ["old"]}, str(path))
    key = other["models"][0]
    assert other["models"][1:] == ["old"]
    assert key != job.key
    assert own == (("yours: uploaded, 16×16", key),)
    assert note["value"].startswith("**Loaded.**")
    there, here = models.load(key), models.load(job.key)
    assert there.config == here.config
    weights = here.net.state_dict()
    for name, weight in there.net.state_dict().items():
        torch.testing.assert_close(weight, weights[name], atol=1e-3, rtol=1e-2)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    assert load_checkpoint(tmp_path / "unnoise-model").config == here.config


def test_there_is_nothing_to_take_away_before_a_training_ends():
    mine, job = started(**ENDLESS)
    for handler in (tab.download, tab.to_walk):
        with pytest.raises((gr.Error, ValueError), match="There is no model yet"):
            handler(mine)
    assert has_steps(job)
    tab.stop(mine)


def test_what_is_no_checkpoint_is_refused_and_nothing_is_lost(done, tmp_path):
    mine, job = done
    for path, sentence in (
        (written(tmp_path, b"", "a.zip"), "no zip archive"),
        (zipped(tmp_path, {"picture.png": png()}, name="b.zip"), "The archive is no checkpoint"),
        (zipped(tmp_path, {"../config.json": b"{}"}, name="c.zip"), "a place outside itself"),
        (zipped(tmp_path, {"config.json": bytes(3 * 2**20)}, name="d.zip"), "unpacks to more"),
    ):
        with pytest.raises(gr.Error, match=sentence):
            tab.upload(mine, str(path))
    assert tab.upload(mine, None) == (SKIP, SKIP, SKIP)  # taken away again
    assert [key for _, key in tab.find_again(mine)[2]] == [job.key]


def test_an_upload_above_the_servers_limit_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(tab, "current", lambda: Settings(train_parameters=1000))
    files = {path.name: path.read_bytes() for path in (FOLDER / "digits").iterdir()}
    with pytest.raises(gr.Error, match="at most 1,000 are allowed"):
        tab.upload(None, str(zipped(tmp_path, files)))


def test_a_browser_remembers_so_many_models_and_no_more(done, tmp_path):
    mine, job = done
    path = str(written(tmp_path, tab.download(mine)[1], "a.zip"))
    for _ in range(tab.MOST_MODELS):
        mine, own, _ = tab.upload(mine, path)
    assert len(mine["models"]) == len(own) == tab.MOST_MODELS
    assert job.key not in mine["models"]


def test_a_model_that_was_trained_is_sampled_from_noise(done):
    mine, job = done
    assert tab.to_walk(mine) == (job.key, None, None)
    model, label, compare, start, place, steps, _ = ways.with_model(tab.to_walk(mine))
    assert (model, compare, start) == (job.key, ALONE, NOISE)
    assert len(label["choices"]) == 11
    assert (place["maximum"], steps) == (10, 10)  # of its ten timesteps


def test_a_model_of_one_picture_restores_it_from_three_fifths():
    mine, job = ended(picture=built_in("china"), source=plans.ONE, T=300, beta_end=0.04, amount=1)
    assert tab.to_walk(mine) == (job.key, built_in("china"), 180)
    _, label, _, start, place, steps, _ = ways.with_model(tab.to_walk(mine))
    assert (start, place["value"], place["maximum"], steps) == (PICTURE, 180, 300, 50)
    assert label["choices"] == [("any", "any")]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "CSV"])
def test_files_of_a_training(done, form):
    mine, job = done
    name, content = tab.export(form, mine)
    kind = "film" if form in ("GIF", "WEBP") else "loss"
    assert name == f"training-{kind}.{form.lower()}"
    assert content == train_scene.export(job, form) or form == "PNG"
    assert len(content) > 100


def test_a_handful_of_pictures_fine_tunes_a_shipped_model(tmp_path):
    files = [str(saved(tmp_path, photo(40 + i, 40), f"{i}.png")) for i in range(2)]
    mine, job = ended(source=plans.FEW, files=files, base="digits", amount=1)
    assert job.message == "The budget is used up."
    title, key = tab.watch(mine, 0)[7][0]
    assert title == "yours: 2 pictures, from digits, step 1"
    assert models.load(key).config.classes == models.load("digits").config.classes
