"""What a person wants to train becomes a plan, or one sentence that says what is wrong."""

import math
import shlex

import pytest
import torch
from PIL import Image

from app import elsewhere, models, plans
from app.pictures import built_in
from app.settings import Settings
from model.checkpoint import build_schedule, load_checkpoint
from model.data import load_data
from model.options import schedule_recipe, settings_of
from model.schedule import FAMILIES
from model.train import train
from model.training import TrainConfig
from model.unet import UNetConfig
from tests.app.picture_files import encoded, photo, saved, written
from tests.app.test_archives import png, zipped
from tests.app.train_inputs import VALUES, plan_of


@pytest.fixture
def files(tmp_path):
    return [str(saved(tmp_path, photo(40 + i, 40), f"{i}.png")) for i in range(21)]


@pytest.fixture
def folder(tmp_path):
    return str(zipped(tmp_path, {"a/1.png": png((255, 0, 0)), "b/2.png": png((0, 0, 255))}))


@pytest.fixture
def limited(monkeypatch):
    """A server that allows less."""

    def limited(**limits):
        monkeypatch.setattr(plans, "current", lambda: Settings(**limits))

    return limited


def given_for(source, files, folder):
    return {
        plans.FEW: {"files": files[:3]},
        plans.ZIP: {"archive": folder},
        plans.HUB: {"dataset": " owner/name "},
    }.get(source, {}) | {"source": source}


def refusal(**changes):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (the callers look at the message)
        plan_of(**changes)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 250
    return message


# -- every source --------------------------------------------------------------------------------


@pytest.mark.parametrize("source", plans.SOURCES)
def test_what_is_suggested_is_a_plan(source, files, folder):
    suggested = plans.SUGGESTED[source]
    assert suggested.keys() <= VALUES.keys()
    plan = plan_of(
        **given_for(source, files, folder), **suggested, budget=plans.SECONDS, beta_start=1e-4
    )
    assert plan.config.minutes * 60 == suggested["amount"] <= Settings().train_seconds
    assert plans.count_parameters(plan.network) <= Settings().train_parameters
    assert build_schedule(plan.schedule).signal[-1] < 0.1  # it ends in noise, nearly pure
    if source == plans.HUB:
        assert (plan.title, plan.picture) == ("owner/name", None)
        return
    data = plan.data()
    assert data.size == (suggested["size"], suggested["size"])
    assert data.channels == (1 if suggested["grey"] else 3) == plan.network.image_channels
    assert plan.training(data).config is plan.config


def test_the_classic_experiment_with_one_picture():
    plan = plan_of("china", source=plans.ONE, **plans.SUGGESTED[plans.ONE])
    schedule = build_schedule(plan.schedule)
    assert (schedule.T, schedule.betas[1].item(), schedule.betas[-1].item()) == (300, 0.01, 0.04)
    assert plan.picture is built_in("china")
    assert plan.title == "Summer Palace"
    data = plan.data()
    assert (len(data), data.jitter, data.classes) == (1, 0.0, ())
    shown = built_in("china").as_input((1, 64, 64))
    assert (data.pixels[0].float() / 127.5 - 1).equal(shown)  # what Reverse then restores


def test_digits_have_labels_a_handful_none_and_folders_are_classes(files, folder):
    assert plan_of().data().classes == tuple("0123456789")
    few = plan_of(source=plans.FEW, files=files[:20])
    assert few.title == "20 pictures"
    assert len(few.data()) == 20
    assert few.data().jitter == 1.0
    assert few.training(few.data()).net.config.classes == 0
    assert plan_of(source=plans.FEW, files=files[:1]).title == "1 picture"
    own = plan_of(source=plans.ZIP, archive=folder, grey=False)
    data = own.data()
    assert (data.classes, data.labels.tolist(), data.channels) == (("a", "b"), [0, 1], 3)
    assert own.training(data).net.config.classes == 2


def test_a_plan_trains_and_what_it_learned_is_a_checkpoint():
    plan = plan_of(amount=3)
    data = plan.data()
    training = plan.training(data)
    assert [progress.step for progress in train(training, data)] == [1, 2, 3]
    checkpoint = plan.checkpoint(training, data)
    assert checkpoint.config.classes == tuple("0123456789")
    assert checkpoint.config.training["images"] == 12
    assert checkpoint.config.training["command"] == plan.command
    assert checkpoint.schedule.betas.equal(build_schedule(plan.schedule).betas)
    torch.testing.assert_close(checkpoint.mean, data.pixels.float().mean(0) / 127.5 - 1)
    kept = checkpoint.net.state_dict()
    assert all(kept[key].equal(weight) for key, weight in training.ema.state_dict().items())
    with torch.no_grad():
        next(training.ema.parameters()).zero_()  # it goes on learning: the checkpoint does not
    assert next(checkpoint.net.parameters()).abs().sum() > 0


@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_seed_begins_with_the_same_weights(seed):
    plan = plan_of(seed=seed)
    data = plan.data()
    one, two = (plan.training(data).net.state_dict() for _ in range(2))
    other = plan_of(seed=seed + 1).training(data).net.state_dict()
    assert all(one[key].equal(two[key]) for key in one)
    assert not all(one[key].equal(other[key]) for key in one)


# -- fine-tuning ---------------------------------------------------------------------------------


def test_fine_tuning_begins_with_the_shipped_weights_and_no_labels(files):
    base = load_checkpoint("digits")
    plan = plan_of(source=plans.FEW, files=files[:2], base="digits", size=64, T=77, target="x0")
    assert plan.title == "2 pictures, from digits"
    assert plan.network == base.config.network
    assert plan.schedule == base.config.schedule
    assert plan.config.target == base.config.target
    data = plan.data()
    assert data.size == (16, 16)
    assert data.labels.tolist() == [10, 10]  # "no label"
    training = plan.training(data)
    before = base.net.state_dict()
    assert all(before[key].equal(weight) for key, weight in training.net.state_dict().items())
    assert all(weight.requires_grad for weight in training.net.parameters())
    for _ in train(training, data):
        pass
    after = training.net.state_dict()
    assert not all(before[key].equal(after[key]) for key in before)
    again = load_checkpoint("digits").net.state_dict()
    kept = plan.base.net.state_dict()  # shared by all sessions
    assert all(kept[key].equal(again[key]) for key in again)
    checkpoint = plan.checkpoint(training, data)
    assert checkpoint.config.classes == base.config.classes
    assert checkpoint.mean is None  # that of other pictures would be wrong


def test_digits_and_datasets_are_no_pictures_of_ones_own():
    for source in (plans.DIGITS, plans.HUB):
        message = refusal(source=source, base="digits", dataset="owner/name")
        assert message.startswith("Fine-tuning is for pictures of your own")


# -- what is wrong -------------------------------------------------------------------------------


NUMBERS = {
    "T": ("T must be a whole number from 2 to 4,000", [0, 1, -5, 10.5, 4001]),
    "batch": ("The batch must be a whole number from 1 to 256", [0, -1, 2.5, 257]),
    "learning_rate": ("The learning rate must be", [0, -1, 1e-9, 101]),
    "beta_start": ("β_start must be", [0, -0.1, 1]),
    "beta_end": ("β_end must be", [0, 1, 2]),
    "amount": ("The number of steps must be a whole number from 1 to 20,000", [0, 0.5, 20_001]),
    "ema": ("The decay of the EMA must be", [-0.1, 1, 2]),
    "label_dropout": ("The label dropout must be", [-0.1, 1.1]),
    "seed": ("The seed must be a whole number from 0", [-1, 0.5, 2**32]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_bad_number_is_one_sentence_with_what_would_be_right(name):
    sentence, bad = NUMBERS[name]
    for value in [*bad, math.nan, math.inf, -math.inf, None, "1", "x" * 500, [1], {}, True]:
        assert refusal(**{name: value}).startswith(sentence), value


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("source", "The data must be one of handwritten digits, one picture"),
        ("base", "The model must be one of fashion, fashion-v, cats, digits"),
        ("size", "The size must be one of 16, 32, 64"),
        ("network", "The network must be one of small, medium, large"),
        ("family", "The schedule must be one of linear"),
        ("target", "The target must be one of"),
        ("budget", "The budget must be one of seconds, steps"),
    ],
)
def test_a_choice_that_is_none_is_one_sentence_with_the_choices(name, sentence):
    for value in (17, None, "", "x" * 500, ["linear"], {"a": 1}, math.nan):
        assert refusal(**{name: value}).startswith(sentence), value


def test_a_schedule_that_cannot_be_is_refused():
    assert refusal(beta_start=0.5, beta_end=0.1).startswith("beta_start must not exceed beta_end")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_schedule_can_be_trained_on(family):
    plan = plan_of(family=family)
    assert build_schedule(plan.schedule).T == 10


def test_seconds_are_a_budget_too():
    assert plan_of(budget=plans.SECONDS, amount=90).config.minutes == 1.5
    for value in (0, 601, math.nan, None, "60"):
        message = refusal(budget=plans.SECONDS, amount=value)
        assert message.startswith("The seconds must be")


def test_pictures_that_cannot_be_used(files, tmp_path):
    few = {"source": plans.FEW}
    for given, count in ((files, 21), ([], 0), (None, 0), ("1.png", 0)):
        message = f"Choose 1 to 20 pictures to train on, got {count}."
        assert refusal(files=given, **few) == message
    for content, sentence in (
        (encoded(Image.new("RGB", (1, 1)), "PNG"), "smaller than 8 × 8 pixels"),
        (b"hello", "not a picture"),
        (b"", "The file is empty"),
    ):
        bad = str(written(tmp_path, content, "bad.png"))
        assert sentence in refusal(files=[files[0], bad], **few)
    assert refusal(files=[str(tmp_path / "gone.png")], **few).startswith("No picture arrived")


def test_archives_that_cannot_be_used(tmp_path):
    own = {"source": plans.ZIP}
    assert "no zip archive" in refusal(archive=None, **own)
    assert "no pictures" in refusal(archive=str(zipped(tmp_path, {})), **own)


@pytest.mark.parametrize(
    "name", ["", None, 3, [], "digits", "a/b/c", "../x", "owner/", "/etc/passwd", "a b/c", "a/b\n"]
)
def test_what_is_no_id_of_a_dataset(name):
    sentence = "Give the dataset's id as owner/name, for example ylecun/mnist."
    if name == "a/b\n":  # pasted with the end of its line
        assert plan_of(source=plans.HUB, dataset=name).title == "a/b"
    else:
        assert refusal(source=plans.HUB, dataset=name) == sentence


# -- the limits of a server ----------------------------------------------------------------------


def test_the_limits_of_a_server_bite(limited, folder, files):
    limited(train_seconds=30, train_steps=100, train_size=32, train_pictures=1, hub=False)
    assert "from 1 to 100" in refusal(amount=101)
    assert "from 1 to 30" in refusal(amount=31, budget=plans.SECONDS)
    assert refusal(size=64) == "The size must be one of 16, 32, got 64."
    assert "at most 1 fit here" in refusal(source=plans.ZIP, archive=folder)
    assert refusal(source=plans.HUB, dataset="owner/name") == (
        "This server does not load datasets: upload a folder as .zip instead."
    )
    assert plan_of(amount=100, size=32).config.steps == 100
    limited(max_T=1000)
    assert "from 2 to 1,000" in refusal(T=1001)
    small = plans.count_parameters(plan_of().network)
    limited(train_parameters=small)
    assert plan_of().network.channels == (32, 64)
    for network in ("medium", "large"):
        message = refusal(network=network)
        assert f"at most {small:,} are allowed here: choose a smaller one" in message
    message = refusal(base="fashion", source=plans.FEW, files=files[:1])  # it is larger too
    assert f"at most {small:,} are allowed" in message


# -- the same elsewhere --------------------------------------------------------------------------


def network_of(settings):
    names = ("image_channels", "channels", "bottleneck", "attention", "pre_norm", "zero_init")
    return UNetConfig(image_size=settings["size"], **{name: settings[name] for name in names})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"budget": plans.SECONDS, "amount": 100, "size": 32, "network": "medium", "grey": False},
        {"family": "cosine", "T": 50, "target": "eps", "seed": 7, "label_dropout": 0.0},
        {"learning_rate": 0.00123456789, "ema": 0.98765, "beta_end": 0.123456789, "batch": 64},
        {"source": plans.ONE, **plans.SUGGESTED[plans.ONE]},
        {"source": plans.FEW, **plans.SUGGESTED[plans.FEW]},
    ],
    ids=str,
)
def test_the_command_line_trains_the_same(changes, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there is no folder of that name yet
    plan = plan_of(**changes, files=files[:3])
    words = shlex.split(plan.command)
    assert words[:3] == ["python", "-m", "model.train"]
    settings = settings_of(words[3:])
    assert network_of(settings) == plan.network
    recipe = schedule_recipe(settings)
    assert build_schedule(recipe).betas.equal(build_schedule(plan.schedule).betas)
    for name in ("steps", "minutes", "target", "batch", "learning_rate", "warmup", "weight_decay",
                 "clip", "ema", "label_dropout", "seed", "bf16"):  # fmt: skip
        assert settings[name] == getattr(plan.config, name), name
    assert settings["data"] == ("PICTURES/" if "source" in changes else "digits")
    assert settings["jitter"] == plan.data().jitter


def run_python(plan):
    """Runs what the page gives to copy; returns all that it made."""
    found = {}
    exec(compile(plan.python, "the page", "exec"), found)
    return found


@pytest.mark.parametrize(
    "changes", [{}, {"family": "cosine", "target": "x0"}, {"family": "scaled linear"}], ids=str
)
def test_the_python_runs_and_trains_the_same(changes, capsys):
    plan = plan_of(amount=1, **changes)
    found = run_python(plan)
    assert found["network"].classes == 10
    training = plan.training(plan.data())
    (progress,) = train(training, plan.data())
    step, loss = capsys.readouterr().out.split()
    assert step == "1"
    assert float(loss) == pytest.approx(progress.loss, rel=1e-3)  # the same weights and pictures
    assert found["schedule"].betas.equal(training.schedule.betas)
    as_usual = {"samples": 16, "sample_steps": 25, "report_every": 1}
    assert found["config"] == TrainConfig(**vars(plan.config) | as_usual)


def test_the_python_of_fine_tuning_begins_with_the_same_weights(
    tmp_path, files, monkeypatch, capsys
):
    monkeypatch.setenv("UNNOISE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "PICTURES").mkdir()
    for i in range(2):
        photo(40 + i, 40).save(tmp_path / "PICTURES" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    plan = plan_of(source=plans.FEW, files=files[:2], base="digits", amount=1)
    found = run_python(plan)
    assert capsys.readouterr().out.startswith("1 ")
    assert found["data"].labels.tolist() == plan.data().labels.tolist() == [10, 10]
    assert found["training"].schedule.betas.equal(load_checkpoint("digits").schedule.betas)
    assert "from scratch" in plan.command
    assert "python -m" not in plan.command


def test_a_model_of_the_hub_is_pulled_by_the_python():
    base, config = models.load("digits"), TrainConfig(steps=1)
    code = elsewhere.fine_tuning_code("PICTURES/", "some/fish", base, config, 1.0)
    compile(code, "the page", "exec")
    assert "from model.sharing import pull\n" in code
    assert "base = pull('some/fish')\n" in code
    assert "load_data('PICTURES/', size=16, channels=1, jitter=1.0)" in code


def test_digits_on_the_command_line_are_the_digits_here():
    data = load_data("digits", size=16, channels=1)
    assert data.pixels.equal(plan_of().data().pixels)
