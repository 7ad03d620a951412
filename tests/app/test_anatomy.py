"""The inside of the U-Net: what the tab draws is what the network is, and what it computes."""

import base64
import json
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from app import anatomy, diagram, models, runs
from app.apart import keeping
from app.embedding_plots import embedding_figures
from app.pictures import built_in, to_pixels
from app.tabs import unet as tab
from model.checkpoint import shipped
from model.embeddings import timestep_embedding
from model.forward import q_sample
from model.sampler import standard_noise
from model.unet import UNet, UNetConfig


@pytest.fixture(scope="module")
def digit():
    x0 = built_in("digit-3").as_input((1, 16, 16))
    return anatomy.of_picture("digits", "3", x0, 7)


def bytes_of(text, *shape):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


# -- the diagram ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_the_diagram_has_the_shapes_and_counts_of_the_network(name):
    net = models.load(name).net
    drawn = diagram.diagram(net)
    seen = {}
    hooks = [
        block.register_forward_hook(
            lambda _, inputs, output, key=key: seen.update({key: output.shape[1:]})
        )
        for key, block in net.blocks.items()
    ]
    net(torch.zeros(1, *models.load(name).shape), torch.ones(1))
    for hook in hooks:
        hook.remove()
    assert {b["name"]: tuple(b["output_shape"]) for b in drawn["blocks"]} == seen
    counts = {key: sum(p.numel() for p in block.parameters()) for key, block in net.blocks.items()}
    assert {b["name"]: b["parameters"] for b in drawn["blocks"]} == counts
    labels = sum(p.numel() for p in net.label.parameters())
    assert drawn["parameters"] == sum(counts.values()) + labels


def test_the_textbooks_figure_is_drawn_without_weights():
    drawn = diagram.classic_diagram()
    with torch.device("meta"):
        net = UNet(UNetConfig.classic())
    assert drawn["parameters"] == sum(p.numel() for p in net.parameters())
    assert drawn["blocks"][0]["output_shape"] == (64, 64, 64)
    assert "x" not in drawn


@pytest.mark.parametrize("name", shipped())
def test_the_inside_of_a_block_ends_in_its_output(name):
    for block in diagram.diagram(models.load(name).net)["blocks"]:
        last = [s for s in block["inside"] if s["name"] != "+ embedding"][-1]
        assert tuple(last["shape"]) == tuple(block["output_shape"]), block["name"]
        if block["kind"] == "upsample":
            _, joined, *_ = block["inside"]
            width = models.load(name).net.blocks[block["name"]].block1.conv1.in_channels
            assert joined["shape"][0] == width


def test_the_source_is_our_own():
    kinds = diagram.diagram(models.load("digits").net)["kinds"]
    assert "F.max_pool2d" in kinds["downsample"]["source"]
    assert "scaled_dot_product_attention" in kinds["attention"]["source"]


# -- a forward pass ------------------------------------------------------------------------------


def test_the_maps_are_the_activations_of_a_real_pass(digit):
    found = anatomy.alive(digit)
    net = digit.checkpoint.net
    seen = {}
    hook = net.blocks["down1"].register_forward_hook(lambda _, i, output: seen.update(it=output))
    net(digit.x, torch.tensor(digit.moments), torch.full((len(digit.moments),), 3))
    hook.remove()
    activation = seen["it"]
    part = found["maps"]["down1"]
    n, h, w = len(digit.moments), part["height"], part["width"]
    pixels = bytes_of(part["pixels"], len(part["names"]), n, h, w)
    for lane, name in enumerate(part["names"]):
        maps = activation.mean(1) if name == "mean" else activation[:, int(name.split()[1])]
        expected = ((maps / (3 * maps.std())).clamp(-1, 1) + 1) * 127.5
        assert np.abs(pixels[lane] - expected.detach().numpy()).max() <= 0.51
    # The strongest vary the most.
    strength = activation.transpose(0, 1).flatten(1).std(1)
    assert int(part["names"][1].split()[1]) == int(strength.argmax())


def test_x_t_is_the_picture_noised_by_the_seeds_noise(digit):
    x0 = built_in("digit-3").as_input((1, 16, 16))
    eps = standard_noise((1, 16, 16), [7])
    for t, x in zip(digit.moments, digit.x, strict=True):
        torch.testing.assert_close(x, q_sample(digit.checkpoint.schedule, x0, t, eps[0]))
    assert digit.moments[0] == 1
    assert digit.moments[-1] == 1000


@torch.no_grad()
def test_what_cutting_does_is_what_the_network_says_then(digit):
    found = anatomy.alive(digit)
    assert set(found["cuts"]) == {"nothing", "0", "1", "all"}
    t = torch.tensor(digit.moments)
    for name, cut in (("nothing", ()), ("1", {1}), ("all", {0, 1})):
        output = digit.checkpoint.net(digit.x, t, torch.full((len(t),), 3), cut=cut)
        x0 = digit.said(output, digit.x, digit.moments)[1]
        shown = bytes_of(found["cuts"][name], len(t), 16, 16, 1)
        np.testing.assert_array_equal(shown, to_pixels(x0))
    assert found["cuts"]["nothing"] != found["cuts"]["0"]


def test_attention_travels_row_by_row(digit):
    found = anatomy.alive(digit)
    trace = digit.checkpoint.net.trace(
        digit.x, torch.tensor(digit.moments), torch.full((len(digit.moments),), 3)
    )
    for name, part in found["attention"].items():
        pixels = part["side"] ** 2
        shown = bytes_of(part["weights"], len(part["moments"]), part["heads"], pixels, pixels)
        weights = trace.attention[name][part["moments"]].detach()
        assert (shown.max(-1) == 255).all()
        assert np.abs(shown - 255 * (weights / weights.amax(-1, keepdim=True)).numpy()).max() < 0.51


@pytest.mark.parametrize("name", shipped())
def test_a_page_stays_light(name):
    x0 = torch.rand(models.load(name).shape) * 2 - 1
    assert len(json.dumps(anatomy.alive(anatomy.of_picture(name, None, x0, 0)))) <= 500_000


def test_all_channels_of_a_block(digit):
    sheet = anatomy.all_channels(digit, "down2", 300)
    width = digit.checkpoint.net.blocks["down2"].block2.conv2.out_channels
    assert len(sheet["rows"][0]["pictures"]) == width


def test_a_chosen_channel_is_shown_besides(digit):
    chosen = anatomy.channel_of(digit, {"block": "down1", "channel": 5})
    part = anatomy.alive(digit, chosen)["maps"]["down1"]
    assert part["names"][-1] == "channel 5"
    for key in (None, [], {"block": "down1", "channel": 10**6}, {"block": "x", "channel": 0}):
        with pytest.raises(ValueError, match=r"channel|block"):
            anatomy.channel_of(digit, key)


def test_a_wrong_t_makes_a_worse_guess_of_a_nearly_clean_picture(digit):
    right, wrong = anatomy.told(digit, 50, 900)["rows"]

    def error(row):
        return float(row["note"].split("error ")[1].split()[0])

    assert error(right) < error(wrong)


def test_a_run_of_the_reverse_process_goes_through_as_it_was():
    settings = runs.run_settings(model="digits", label="5", steps=12)
    run = runs.compute(settings)
    this = anatomy.of_run(run)
    assert list(this.moments) == sorted(this.moments)
    for t, x in zip(this.moments, this.x, strict=True):
        assert torch.equal(x, run.x[run.kept.index(run.t.index(t))])
    t, x = this.at(this.moments[2] + 1)  # the nearest that it has
    assert t == this.moments[2]
    other = runs.compute(runs.run_settings(model="digits", steps=3, family="cosine"))
    with pytest.raises(ValueError, match="as trained"):
        anatomy.of_run(other)


# -- how far it looks, and what it is told ---------------------------------------------------------


def test_the_field_of_a_convolution_is_its_kernel(digit):
    pictures = anatomy.receptive_fields(digit, 300)["rows"][0]["pictures"]
    sizes = {p["caption"].split(":")[0]: int(p["caption"].split()[-2]) for p in pictures}
    assert sizes["input"] <= 3
    assert sizes["down2"] > sizes["down1"] > sizes["input"]
    assert sizes["output"] < sizes["down2"]


def test_the_extent_of_a_light():
    weight = torch.zeros(9, 9)
    weight[4, 4] = 1
    assert anatomy.extent(weight) == 1
    weight[3:6, 3:6] += 1
    assert anatomy.extent(weight) == 3
    assert anatomy.extent(torch.ones(9, 9)) == 7  # 49 of 81


def test_the_heat_maps_are_the_embeddings(digit):
    found = anatomy.embedding_tables(digit)
    table = timestep_embedding(torch.tensor(found["t"]), digit.checkpoint.net.config.embedding)
    torch.testing.assert_close(found["table"], table[:, ::2])
    torch.testing.assert_close(found["similarity"].diagonal(), torch.ones(len(found["t"])))
    inside = digit.checkpoint.net.embed(torch.tensor(found["t"]), torch.full((101,), 3))
    torch.testing.assert_close(found["sum"], inside[:, ::2].detach())
    assert found["names"][-1] == "no label"
    assert len(embedding_figures(found)) == 4


# -- the tab's handlers ----------------------------------------------------------------------------


def inputs(model="digits", label="3", seed=0, source=tab.OWN, picture=None, shown=()):
    return model, label, seed, source, picture, shown


def shown(*given):
    """What `show` yields in the page, where it is kept."""
    (values,) = keeping(tab.show)(*given)
    return values


def test_the_same_again_does_nothing():
    scene, *charts, seen, answered = shown(7, None, *inputs())
    assert scene["times"][-1] == 1000
    assert (len(charts), answered) == (4, 7)
    later = inputs(picture=built_in("china"), shown=("a run",))  # neither goes through
    for given in (inputs(), later):
        *parts, again, answered = shown(8, seen, *given)
        assert parts == [gr.skip()] * 5
        assert (again, answered) == (seen, 8)


def test_what_is_known_is_shown_without_a_wait():
    scene, *charts, seen, _ = shown(1, None, *inputs(seed=5))
    assert tab.look(0, 0, None, *inputs(seed=5)) == (scene, *charts, seen, gr.skip())
    assert tab.look(0, 0, seen, *inputs(seed=5)) == (gr.skip(),) * 7


@pytest.mark.parametrize(
    ("unknown", "given"),
    [(3, inputs(seed=5)), (0, inputs(seed=6)), (0, inputs(seed=[5])), (0, inputs(model={}))],
    ids=["another one is under way", "not known", "a list", "a dictionary"],
)
def test_else_it_is_asked_for(unknown, given):
    shown(1, None, *inputs(seed=5))
    *parts, asked = tab.look(unknown, 0, None, *given)
    assert parts == [gr.skip()] * 6
    assert asked not in (unknown, 0)


def test_a_picture_is_asked_for_only_where_it_goes_through():
    assert tab.picture_matters(None, tab.PICTURE) == gr.skip()
    assert tab.picture_matters(("seen",), tab.OWN) == gr.skip()
    assert isinstance(tab.picture_matters(("seen",), tab.PICTURE), int)


def test_the_textbooks_network_is_shown_and_has_nothing_more_to_say():
    scene, *_ = shown(0, None, *inputs(model=diagram.CLASSIC))
    assert scene["parameters"] > 10_000_000
    assert tab.tell(100, 900, *inputs(model=diagram.CLASSIC)) == {"rows": []}
    with pytest.raises(gr.Error, match="no weights"):
        tab.measure_fields(100, *inputs(model=diagram.CLASSIC))


def test_an_opened_block_shows_its_channels():
    event = SimpleNamespace(_data={"block": "down1"})
    assert tab.open_block(event, 200, *inputs())["rows"][0]["title"].startswith("down1 at t = 200")


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        (lambda: tab.open_block(SimpleNamespace(_data={"block": "up9"}), 9, *inputs()), "block"),
        (lambda: tab.open_block(SimpleNamespace(_data=None), 9, *inputs()), "block"),
        (lambda: tab.tell(0, 900, *inputs()), "t must be from 1 to 1,000|whole number from 1"),
        (lambda: tab.tell(5, 1001, *inputs()), "told"),
        (lambda: tab.tell(float("nan"), 5, *inputs()), "whole number"),
        (lambda: tab.measure_fields([], *inputs()), "whole number"),
        (lambda: shown(0, None, *inputs(model="nobody")), "model must be one of"),
        (lambda: shown(0, None, *inputs(label="77")), "label"),
        (lambda: shown(0, None, *inputs(seed=-1)), "seed"),
        (lambda: shown(0, None, *inputs(source="nothing")), "What goes through"),
        (lambda: shown(0, None, *inputs(source=tab.RUN)), "open the Reverse tab first"),
    ],
)
def test_bad_input_gets_one_sentence(handler, sentence):
    with pytest.raises(gr.Error, match=sentence) as error:
        handler()
    assert "\n" not in str(error.value)


def test_a_picture_of_any_size_is_made_to_fit():
    scene, *_ = shown(0, None, *inputs(source=tab.PICTURE, picture=built_in("china")))
    assert (scene["channels"], scene["height"]) == (1, 16)
