"""Checkpoints: what is saved comes back, and what is broken or hostile is one sentence."""

import errno
import io
import json
import math
import os
import pickle
import re
import struct
import time
from contextlib import suppress
from dataclasses import asdict, replace

import huggingface_hub
import pytest
import safetensors.torch
import torch
import yaml
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import checkpoint as module
from model.average import MEAN
from model.checkpoint import (
    CARD,
    CONFIG,
    FORMAT,
    WEIGHTS,
    BadCheckpoint,
    CheckpointConfig,
    build_schedule,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
    shipped,
)
from model.denoiser import Denoiser
from model.files import write_whole
from model.resume import STATE, BadState, load_training, read_settings, save_training
from model.schedule import NoiseSchedule
from model.sharing import pull, push
from model.train import train
from model.training import TrainConfig, Training
from tests.model.tiny import CONFIG as NETWORK
from tests.model.tiny import network, parts, pictures, same

COSINE = {"family": "cosine", "T": 100}
NAMES = ("dark", "grey", "light")


def config(**changes):
    return CheckpointConfig(
        **{"network": NETWORK, "schedule": COSINE, "target": "v", "classes": NAMES, **changes}
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints") / "blobs"
    training = {"command": "python -m model.train --data blobs", "images": 12345}
    save_checkpoint(folder, network(), config(training=training))
    return folder


@pytest.fixture
def folder(tmp_path, original):
    """A copy of a good checkpoint, to be broken."""
    copy = tmp_path / "blobs"
    copy.mkdir()
    for name in (CONFIG, WEIGHTS, CARD):
        (copy / name).write_bytes((original / name).read_bytes())
    return copy


def refused(folder):
    """The sentence for a folder that is no checkpoint."""
    with pytest.raises(BadCheckpoint) as caught:
        load_checkpoint(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert 10 < len(sentence) <= 300
    assert folder.name in sentence
    return sentence


def edit(folder, **changes):
    """Other values in config.json; those with a dot in the name are the network's."""
    values = json.loads((folder / CONFIG).read_text())
    for name, value in changes.items():
        group = values["network"] if name in asdict(NETWORK) and name != "classes" else values
        group[name] = value
    (folder / CONFIG).write_text(json.dumps(values))


def rewrite(folder, change):
    """Other weights: `change` gets them by name."""
    weights = safetensors.torch.load_file(folder / WEIGHTS)
    change(weights)
    safetensors.torch.save_file(weights, folder / WEIGHTS)


# -- there and back ------------------------------------------------------------------------------


def test_a_checkpoint_comes_back(original):
    net, loaded = network(), load_checkpoint(original)
    for name, weight in parts(net).items():
        found = loaded.net.state_dict()[name]
        assert (found.dtype, found.device.type) == (torch.float32, "cpu")
        torch.testing.assert_close(found, weight.half().float(), rtol=0, atol=0)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 70])
    label = torch.tensor([0, 2])
    torch.testing.assert_close(loaded.net(x, t, label), net(x, t, label), rtol=0.02, atol=0.02)
    assert loaded.shape == (1, 8, 8)
    assert loaded.config.network == NETWORK
    assert (loaded.config.target, loaded.config.classes) == ("v", NAMES)
    assert loaded.config.training["images"] == 12345
    assert torch.equal(loaded.schedule.betas, NoiseSchedule.cosine(100).betas)
    assert not loaded.net.training
    assert not any(parameter.requires_grad for parameter in loaded.net.parameters())


def test_in_full_precision_it_comes_back_exactly(tmp_path):
    save_checkpoint(tmp_path, network(), config(), half=False)
    assert same(parts(load_checkpoint(tmp_path).net), parts(network()))


def test_a_weight_too_large_for_half_precision_is_kept(tmp_path):
    net = network()
    with torch.no_grad():
        net.blocks["input"].bias[0] = 1e6
    save_checkpoint(tmp_path, net, config())
    assert load_checkpoint(tmp_path).net.blocks["input"].bias[0] == 1e6


def test_what_is_written_is_for_people_too(original):
    text = (original / CONFIG).read_text()
    assert text.endswith("}\n")
    values = json.loads(text)
    assert values["format"] == FORMAT
    assert values["network"]["channels"] == [8, 16]
    assert values["classes"] == list(NAMES)
    assert values["schedule"] == COSINE
    assert CheckpointConfig.from_json(text).to_json() == text
    stored = safetensors.torch.load_file(original / WEIGHTS)
    assert {weight.dtype for weight in stored.values()} == {torch.float16}
    assert sorted(path.name for path in original.iterdir()) == [CARD, CONFIG, WEIGHTS]
    assert {path.stat().st_mode & 0o777 for path in original.iterdir()} == {0o644}


def test_a_network_without_labels(tmp_path):
    save_checkpoint(
        tmp_path, network(classes=0), config(network=replace(NETWORK, classes=0), classes=())
    )
    loaded = load_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="trained without labels: ask with label=None"):
        loaded.denoiser(0)
    assert loaded.denoiser()(torch.zeros(1, 1, 8, 8), 5).eps.shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("recipe", "schedule"),
    [
        ({"family": "linear", "T": 1000}, NoiseSchedule.linear()),
        ({"family": "linear"}, NoiseSchedule.linear()),
        (
            {"family": "linear", "T": 50, "beta_start": 0.001, "beta_end": 0.01, "rescale": True},
            NoiseSchedule.linear(50, 0.001, 0.01, rescale=True),
        ),
        ({"family": "scaled linear", "T": 30}, NoiseSchedule.scaled_linear(30)),
        ({"family": "cosine", "T": 20, "s": 0.01}, NoiseSchedule.cosine(20, s=0.01)),
        ({"family": "sigmoid", "T": 20}, NoiseSchedule.sigmoid(20)),
        ({"family": "betas", "betas": [0.1, 0.2, 0.5]}, NoiseSchedule.from_betas([0.1, 0.2, 0.5])),
    ],
    ids=lambda value: value["family"] if isinstance(value, dict) else "",
)
def test_a_schedule_of_every_kind_comes_back(tmp_path, recipe, schedule):
    assert torch.equal(build_schedule(recipe).betas, schedule.betas)
    save_checkpoint(tmp_path, network(), config(schedule=recipe))
    assert torch.equal(load_checkpoint(tmp_path).schedule.alpha_bars, schedule.alpha_bars)


def test_its_denoiser_is_that_of_its_network(original):
    loaded, x = load_checkpoint(original), torch.randn(2, 1, 8, 8)
    expected = Denoiser(loaded.net, loaded.schedule, "v", 1, clip=True)(x, 60)
    assert torch.equal(loaded.denoiser(1)(x, 60).eps, expected.eps)
    assert expected.x0.abs().max() <= 1
    wild = loaded.denoiser(1, clip=False)(3 * x, 60).x0
    assert wild.abs().max() > 1
    one, other = (loaded.denoiser(label, clip=False)(x, 60).eps for label in (1, None))
    guided = loaded.denoiser(1, guidance=3.0, clip=False)(x, 60).eps
    torch.testing.assert_close(guided, other + 3 * (one - other), rtol=1e-4, atol=1e-5)
    # Without a label there is nothing to exaggerate.
    assert torch.equal(loaded.denoiser(None, guidance=3.0, clip=False)(x, 60).eps, other)
    each = loaded.denoiser(torch.tensor([2, 0]))(x, 60)
    assert each.x0.shape == x.shape


@pytest.mark.parametrize("label", [3, -1, 1.0, torch.tensor([0, 3])], ids=str)
def test_a_label_that_it_does_not_know_is_one_sentence(original, label):
    with pytest.raises(ValueError, match=r"label must be in 0 … 2, got"):
        load_checkpoint(original).denoiser(label)


# -- broken folders ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    assert refused(folder) == f"blobs is no checkpoint: it lacks the file {name}"


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_what_is_no_file(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)  # to open it would wait for ever
    assert f"lacks the file {name}" in refused(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    assert f"lacks the file {name}" in refused(folder)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, -1])
def test_truncated_weights(folder, size):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:size])
    assert "is damaged or no safetensors file" in refused(folder)


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_for_weights(folder, seed):
    noise = torch.randint(256, (4096,), generator=torch.Generator().manual_seed(seed))
    (folder / WEIGHTS).write_bytes(bytes(noise.tolist()))
    assert "is damaged or no safetensors file" in refused(folder)


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "save", [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), torch.save]
)
def test_a_pickle_is_not_executed(folder, save):
    crater = folder / "crater"
    save(Bomb(str(crater)), folder / WEIGHTS)
    assert "is damaged or no safetensors file" in refused(folder)
    assert not crater.exists()
    content = (folder / WEIGHTS).read_bytes()
    if save is torch.save:
        torch.load(io.BytesIO(content), weights_only=False)
    else:
        pickle.loads(content)
    assert crater.exists()  # it was a real one


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: w.pop("blocks.output.bias"), r"lacks blocks.output.bias \(1 missing in all\)"),
        (lambda w: w.clear(), r"it lacks .* missing in all"),
        (lambda w: w.update(extra=torch.zeros(2)), r"'extra' is unknown \(1 in all\)"),
        (lambda w: w.update({"y" * 9999: torch.zeros(2)}), r"'yyy.* is unknown"),
        (
            lambda w: w.update({"blocks.output.bias": torch.zeros(2)}),
            r"output.bias has shape \(2,\) instead of \(1,\)",
        ),
        (lambda w: w["blocks.output.bias"].fill_(math.nan), "output.bias holds no finite numbers"),
        (lambda w: w["blocks.output.bias"].fill_(math.inf), "output.bias holds no finite numbers"),
        *(
            (
                lambda w, dtype=dtype: w.update({"blocks.output.bias": torch.ones(1).to(dtype)}),
                "output.bias holds no finite numbers",
            )
            for dtype in (torch.int64, torch.uint8, torch.bool, torch.float8_e4m3fn)
        ),
        (
            lambda w: w.update(
                {"blocks.output.bias": torch.full((1,), math.inf, dtype=torch.float64)}
            ),
            "output.bias holds no finite numbers",
        ),
        (
            lambda w: w.update({"blocks.output.bias": torch.tensor([1e300], dtype=torch.float64)}),
            "output.bias holds no finite numbers",
        ),
    ],
)
def test_weights_that_do_not_fit(folder, change, says):
    rewrite(folder, change)
    assert re.search(says, refused(folder))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_weights_of_other_precision_are_taken(folder, dtype):
    rewrite(folder, lambda w: w.update({name: weight.to(dtype) for name, weight in w.items()}))
    assert load_checkpoint(folder).net.blocks["output"].bias.dtype == torch.float32


def test_a_header_that_promises_more_than_there_is(folder):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}})
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(64))
    assert "is damaged or no safetensors file" in refused(folder)


# -- broken config.json --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b'{"format": "unnoise-unet-1"',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b'"text"',
        b"{}",
        b'{"format": "other"}',
        b'{"format": "unnoise-unet-1"}',
        b'{"format": "unnoise-unet-1", "network": []}',
        b"1" * 5000,
        b"[" * 100_000,
        b'{"format": ' * 50_000,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_a_config_that_is_none(folder, content):
    (folder / CONFIG).write_bytes(content)
    assert "config.json of blobs is not one of ours: " in refused(folder)


def test_a_config_that_is_huge_is_not_read(folder):
    with (folder / CONFIG).open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room on the disk
    assert "larger than 1,000,000 bytes" in refused(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image_size": "8"}, 'image_size must be a whole number, got "8"'),
        ({"image_size": None}, "image_size must be a whole number, got null"),
        ({"image_size": [8]}, "image_size must be a whole number, got [8]"),
        ({"image_size": math.nan}, "image_size must be a whole number, got NaN"),
        ({"image_size": 8.0}, "image_size must be a whole number, got 8.0"),
        ({"image_size": True}, "image_size must be a whole number, got true"),
        ({"image_size": -8}, "image_size must be in 4 … 1024, got -8"),
        ({"image_size": 10**12}, "image_size must be in 4 … 1024"),
        ({"image_channels": 2}, "instead of (8, 2, 3, 3)"),
        ({"channels": "8, 16"}, "channels must be a list of whole numbers"),
        ({"channels": 8}, "channels must be a list of whole numbers, got 8"),
        ({"channels": None}, "channels must be a list of whole numbers, got null"),
        ({"channels": {"8": 16}}, "channels must be a list of whole numbers"),
        ({"channels": [8, "16"]}, "channels must be a list of whole numbers"),
        ({"channels": [[8], [16]]}, "channels must be a list of whole numbers"),
        ({"channels": []}, "channels must be 2 to 8 numbers in 1 … 4096"),
        ({"channels": [8, 4097]}, "channels must be 2 to 8 numbers in 1 … 4096"),
        ({"channels": [8] * 10**5}, "channels must be 2 to 8 numbers in 1 … 4096"),
        ({"channels": [8, 20]}, "does not fit its config.json"),
        ({"attention": [9]}, "attention must name levels 0 … 1"),
        ({"heads": 0}, "heads must be in 1 … 64, got 0"),
        ({"pre_norm": "false"}, 'pre_norm must be true or false, got "false"'),
        ({"zero_init": 1}, "zero_init must be true or false, got 1"),
        ({"color": 3}, "config.json has the unknown setting 'color'"),
        ({"x" * 9999: 3}, "config.json has the unknown setting 'xxx"),
        ({"target": "score"}, "target must be one of eps, x0, v, got 'score'"),
        ({"target": ["v"]}, "target must be one of eps, x0, v"),
        ({"target": "v" * 99_999}, "target must be one of eps, x0, v"),
        ({"classes": ["a", "b"]}, "the network has 3 classes, 2 are named"),
        ({"classes": []}, "the network has 3 classes, 0 are named"),
        ({"classes": "abc"}, "classes must be a list of texts"),
        ({"classes": None}, "classes must be a list of texts"),
        ({"classes": {"a": 1, "b": 2, "c": 3}}, "classes must be a list of texts"),
        ({"classes": [1, 2, 3]}, "classes must be a list of texts"),
        ({"training": []}, '"training" must be a record'),
        ({"training": None}, '"training" must be a record'),
        ({"schedule": None}, "the schedule names no family"),
        ({"schedule": "linear"}, "the schedule names no family"),
        ({"schedule": {"T": 10}}, "the schedule names no family"),
        ({"schedule": {"family": 3}}, "the schedule names no family"),
        (
            {"schedule": {"family": "warp"}},
            "must be one of linear, scaled linear, cosine, sigmoid,",
        ),
        ({"schedule": {"family": "w" * 9999}}, "must be one of linear, scaled linear, cosine"),
        ({"schedule": {"family": "from_betas"}}, "got 'from_betas'"),
        ({"schedule": {"family": "linear", "T": 10**9}}, "T must be an integer in 1 … 1,000,000"),
        ({"schedule": {"family": "linear", "T": 0}}, "T must be an integer in 1 … 1,000,000"),
        ({"schedule": {"family": "linear", "T": "10"}}, "T must be an integer, got '10'"),
        ({"schedule": {"family": "linear", "T": None}}, "T must be an integer, got None"),
        ({"schedule": {"family": "linear", "speed": 3}}, "'linear' cannot be made of speed: "),
        (
            {"schedule": {"family": "linear", "beta_end": "1"}},
            "'linear' cannot be made of beta_end",
        ),
        ({"schedule": {"family": "linear", "beta_end": math.nan}}, "beta_end must lie in (0, 1)"),
        ({"schedule": {"family": "cosine", "s": math.inf}}, "s must be a finite number"),
        ({"schedule": {"family": "cosine", "s": 10**400}}, "'cosine' cannot be made of s: "),
        ({"schedule": {"family": "betas"}}, "'betas' cannot be made of nothing: "),
        ({"schedule": {"family": "betas", "betas": []}}, "non-empty vector"),
        ({"schedule": {"family": "betas", "betas": None}}, "'betas' cannot be made of betas: "),
        ({"schedule": {"family": "betas", "betas": "0.1"}}, "'betas' cannot be made of betas: "),
        ({"schedule": {"family": "betas", "betas": {"a": 1}}}, "'betas' cannot be made of betas: "),
        ({"schedule": {"family": "betas", "betas": [0.1, 2]}}, "beta must lie in (0, 1), got 2.0"),
        (
            {"schedule": {"family": "betas", "betas": [10**400]}},
            "'betas' cannot be made of betas: ",
        ),
        ({"schedule": {"family": "betas", "betas": [[0.1], [0.2, 0.3]]}}, "cannot be built: "),
        ({"schedule": {"family": "betas", "betas": [0.999] * 200}}, "underflows to zero"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_config_with_a_wrong_value(folder, change, says):
    edit(folder, **change)
    assert says in refused(folder)


def test_a_value_nested_too_deep_to_show(folder):
    text = (folder / CONFIG).read_text()
    deep = "[" * 700 + "]" * 700
    for value in ('"T": 100', '"target": "v"'):
        (folder / CONFIG).write_text(text.replace(value, f"{value.partition(':')[0]}: {deep}"))
        refused(folder)


@pytest.mark.parametrize("classes", [3, 99_999])
def test_enormous_sizes_are_refused_before_anything_is_allocated(folder, classes):
    sizes = {"image_channels": 16, "channels": [4096] * 8, "bottleneck": 4096, "image_size": 1024}
    edit(folder, **sizes, embedding=4096, attention=[0, 1, 2, 3, 4, 5, 6, 7])
    values = json.loads((folder / CONFIG).read_text())
    values["network"]["classes"] = classes
    values["classes"] = [""] * classes
    (folder / CONFIG).write_text(json.dumps(values))
    began = time.monotonic()
    assert refused(folder) == "model.safetensors of blobs would hold over 200,000,000 numbers"
    assert time.monotonic() - began < 30


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
plausible = st.sampled_from([0, 1, 2, 3, 7, 8, 16, 4096, 10**6, 0.5, "v", "linear", [8, 16], [1]])


@given(st.data())
@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_the_config_says_it_loads_or_is_one_sentence(folder, original, data):
    values = json.loads((original / CONFIG).read_text())
    groups = (values, values["network"], values["schedule"])
    for _ in range(data.draw(st.integers(1, 3))):
        group = data.draw(st.sampled_from(groups))
        keys = sorted(group) + ["beta_start", "betas", "s", "rescale"] * (group is groups[2])
        group[data.draw(st.sampled_from(keys))] = data.draw(plausible | anything)
    (folder / CONFIG).write_text(json.dumps(values))
    with suppress(BadCheckpoint):
        load_checkpoint(folder)
        return
    refused(folder)


@given(st.binary(max_size=200), st.integers(0, 300), st.booleans())
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_the_weights_hold_they_load_or_are_one_sentence(
    folder, original, garbage, at, keep
):
    content = (original / WEIGHTS).read_bytes()
    rest = content[at + len(garbage) :] if keep else b""
    (folder / WEIGHTS).write_bytes(content[:at] + garbage + rest)
    with suppress(BadCheckpoint):
        load_checkpoint(folder)
        return
    refused(folder)


# -- by name -------------------------------------------------------------------------------------


@pytest.fixture
def shop(folder, monkeypatch):
    """The folder of those shipped, with one checkpoint in it."""
    monkeypatch.setattr(module, "FOLDER", folder.parent)
    return folder.parent


def test_a_checkpoint_by_name_or_by_folder(shop, monkeypatch):
    assert load_checkpoint("blobs").config == load_checkpoint(shop / "blobs").config
    assert find_checkpoint("blobs") == (shop / "blobs").resolve()
    monkeypatch.chdir(shop / "blobs")
    assert find_checkpoint(".").name == "blobs"
    assert load_checkpoint(".").shape == (1, 8, 8)


@pytest.mark.parametrize(
    "name", ["nothing", "blobs/../nothing", "blobs\0", "\0", "x" * 5000, "blobs/config.json", "💣"]
)
def test_a_name_that_leads_nowhere_is_one_sentence(shop, name):
    with pytest.raises(FileNotFoundError) as caught:
        load_checkpoint(name)
    sentence = str(caught.value)
    assert sentence.startswith("there is no checkpoint '")
    assert "or one of those shipped (blobs)" in sentence
    assert len(sentence) < 300
    assert "\n" not in sentence


@pytest.mark.parametrize("name", ["", ".", "..", "blobs/.."])
def test_a_folder_that_holds_something_else_is_one_sentence(shop, monkeypatch, name):
    monkeypatch.chdir(shop)
    with pytest.raises(BadCheckpoint, match=r"is no checkpoint: it lacks the file config\.json"):
        load_checkpoint(name)


def test_those_shipped_are_listed(shop):
    assert shipped() == ["blobs"]
    for name in ("zebra", "ants"):
        save_checkpoint(shop / name, network(), config())
    (shop / "empty").mkdir()
    (shop / "README.md").write_text("about")
    assert shipped() == ["ants", "blobs", "zebra"]


def test_each_that_is_shipped_loads():
    for name in shipped():
        assert load_checkpoint(name).config.training["command"].startswith("python -m model.train ")


def test_none_shipped_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", tmp_path / "none")
    assert shipped() == []
    with pytest.raises(FileNotFoundError, match=r"those shipped \(none yet\)"):
        load_checkpoint("blobs")


# -- files that are there whole or not at all ----------------------------------------------------


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["fsync", "replace", "chmod", "fdopen"])
def test_a_full_disk_leaves_the_old_content(tmp_path, monkeypatch, name):
    path = tmp_path / "deep" / "file"
    write_whole(path, b"old")
    monkeypatch.setattr(os, name, full)
    with pytest.raises(OSError, match="No space left on device"):
        write_whole(path, b"new" * 10_000)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["file"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_full_disk_leaves_the_old_checkpoint(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        save_checkpoint(folder, network(5), config())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# -- the model card ------------------------------------------------------------------------------


def front_matter(text):
    return yaml.safe_load(re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)[1])


def test_the_model_card_says_what_it_is(original):
    text = (original / CARD).read_text()
    matter = front_matter(text)
    assert matter["pipeline_tag"] == "unconditional-image-generation"
    assert "diffusion" in matter["tags"]
    for part in (
        "# blobs",
        "8×8 grey pictures",
        "a U-Net of 8, 16 channels that predicts the velocity v and knows 3 classes",
        "cosine, T = 100",
        "python -m model.train --data blobs",
        "12,345 pictures were seen",
        'load_checkpoint("blobs")',
    ):
        assert part in text
    assert not re.search(r"\{\w+\}", text)


def test_the_code_of_the_model_card_is_code(original):
    (code,) = re.findall(r"```python\n(.*?)```", (original / CARD).read_text(), re.DOTALL)
    compile(code, "card", "exec")


def test_the_model_card_of_a_schedule_without_a_T(tmp_path):
    recipe = {"family": "betas", "betas": [0.1, 0.2]}
    save_checkpoint(tmp_path / "{braces}", network(), config(schedule=recipe, training={}))
    text = (tmp_path / "{braces}" / CARD).read_text()
    assert "**Noise schedule**: betas.\n" in text
    assert "# {braces}" in text
    assert "Not recorded." in text


def test_a_model_card_that_is_there_is_kept(folder):
    (folder / CARD).write_text("mine")
    save_checkpoint(folder, network(5), config())
    assert (folder / CARD).read_text() == "mine"
    assert (
        load_checkpoint(folder).net.blocks["output"].bias == network(5).blocks["output"].bias.half()
    )


# -- to and from the Hub -------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize(
    "repo", ["", "name", "a/b/c", "owner/", "/name", "../name", "a b/c", "o/n\n", "https://x/y"]
)
def test_a_bad_id_is_one_sentence(offline, folder, repo):
    for asked in (lambda: pull(repo), lambda: push(folder, repo)):
        with pytest.raises(ValueError, match='a repository on the Hub is "owner/name", got'):
            asked()


def test_offline_is_one_sentence_and_quick(offline, folder):
    began = time.monotonic()
    for asked in (lambda: pull("owner/name"), lambda: push(folder, "owner/name")):
        with pytest.raises(ConnectionError, match=r"owner/name") as caught:
            asked()
        assert "\n" not in str(caught.value)
        assert "could not be pu" in str(caught.value)
    assert time.monotonic() - began < 20


def test_nothing_broken_goes_up(offline, folder):
    (folder / WEIGHTS).write_bytes(b"")
    with pytest.raises(BadCheckpoint, match="is damaged"):
        push(folder, "owner/name")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        push(folder / "nothing", "owner/name")


def test_what_goes_up_is_the_folder_of_that_name(shop, monkeypatch):
    sent = {}

    def create(repo, *, private, exist_ok):
        return f"https://huggingface.co/{repo}"

    monkeypatch.setattr(huggingface_hub, "create_repo", create)
    monkeypatch.setattr(huggingface_hub, "upload_folder", lambda **how: sent.update(how))
    assert push("blobs", "owner/name") == "https://huggingface.co/owner/name"
    assert sent["folder_path"] == (shop / "blobs").resolve()
    assert (sent["repo_id"], sent["allow_patterns"]) == (
        "owner/name",
        [CARD, CONFIG, MEAN, WEIGHTS],
    )


# -- a training under way ------------------------------------------------------------------------


def begun(**changes):
    settings = {"steps": 4, "batch": 4, "bf16": False}
    return Training.start(network(**changes), NoiseSchedule.linear(100), TrainConfig(**settings))


@pytest.fixture
def saved(tmp_path):
    """A folder with the state of a training after two steps."""
    training = begun()
    for record in train(training, pictures()):
        if record.step == 2:
            break
    save_training(tmp_path, training, {"data": "blobs", "channels": (8, 16), "minutes": None})
    return tmp_path


def unchanged_by(asked):
    """The sentence of a `BadState`, where the training is as it was."""
    training = begun()
    weights, generator = parts(training.net), training.generator.get_state()
    with pytest.raises(BadState) as caught:
        asked(training)
    assert "\n" not in str(caught.value)
    assert same(parts(training.net), weights)
    assert same(parts(training.ema), weights)
    assert torch.equal(training.generator.get_state(), generator)
    assert (training.step, training.seconds) == (0, 0.0)
    assert [record.step for record in train(training, pictures())] == [1, 2, 3, 4]
    return str(caught.value)


def restate(folder, change=None, **counters):
    """Another state: `change` gets its tensors, `counters` replace what stands beside them."""
    with safetensors.safe_open(folder / STATE, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        values = json.loads(file.metadata()["training"])
    if change:
        change(tensors)
    safetensors.torch.save_file(
        tensors, folder / STATE, {"training": json.dumps({**values, **counters})}
    )


def test_the_settings_come_back(saved):
    assert read_settings(saved) == {"data": "blobs", "channels": [8, 16], "minutes": None}


def test_no_state_is_one_sentence(tmp_path):
    for asked in (read_settings, lambda folder: load_training(folder, begun())):
        with pytest.raises(
            FileNotFoundError, match=r"no training to go on with: .* does not exist"
        ):
            asked(tmp_path)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_truncated_state(saved, size):
    (saved / STATE).write_bytes((saved / STATE).read_bytes()[:size])
    says = f"{STATE} is damaged, so no training can go on: "
    assert unchanged_by(lambda training: load_training(saved, training)).startswith(says)
    with pytest.raises(BadState, match="is damaged"):
        read_settings(saved)


def test_a_state_of_another_network(saved):
    with pytest.raises(BadState, match="is of another network than its settings describe"):
        load_training(saved, begun(bottleneck=8))
    with pytest.raises(BadState, match="is of another network than its settings describe"):
        load_training(saved, begun(channels=(8, 16, 16)))


@pytest.mark.parametrize(
    ("change", "counters", "says"),
    [
        (None, {"step": "2"}, "it lacks its counters"),
        (None, {"step": -1}, "it lacks its counters"),
        (None, {"step": None}, "it lacks its counters"),
        (None, {"seconds": math.nan}, "it lacks its counters"),
        (None, {"seconds": []}, "it lacks its counters"),
        (None, {"settings": []}, "it lacks its counters"),
        (lambda tensors: tensors.pop("generator"), {}, "is of another network"),
        (lambda tensors: tensors.update(more=torch.zeros(1)), {}, "is of another network"),
        (lambda tensors: tensors["generator"].zero_(), {}, "its random generator is none"),
        (
            lambda tensors: tensors.update(generator=tensors["generator"].float()),
            {},
            "numbers of another kind",
        ),
        (
            lambda tensors: tensors.update(
                {"exp_avg.blocks.output.bias": torch.zeros(1, dtype=torch.long)}
            ),
            {},
            "numbers of another kind",
        ),
    ],
)
def test_a_state_that_is_none(saved, change, counters, says):
    restate(saved, change, **counters)
    assert says in unchanged_by(lambda training: load_training(saved, training))


@pytest.mark.parametrize(
    "metadata", [None, {}, {"training": "["}, {"training": "[1]"}, {"training": "[" * 9999}]
)
def test_a_state_without_its_counters(saved, metadata):
    safetensors.torch.save_file({"a": torch.zeros(1)}, saved / STATE, metadata)
    with pytest.raises(BadState, match="is damaged, so no training can go on: "):
        read_settings(saved)


def test_a_pickle_is_no_state(saved):
    torch.save({"step": 3}, saved / STATE)
    with pytest.raises(BadState, match="is damaged"):
        read_settings(saved)


def test_a_full_disk_leaves_the_old_state(saved, monkeypatch):
    before = (saved / STATE).read_bytes()
    training = begun()
    load_training(saved, training)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        save_training(saved, training, {})
    assert (saved / STATE).read_bytes() == before
    assert [path.name for path in saved.iterdir()] == [STATE]
