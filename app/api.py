"""The public API: a few named endpoints for programs, which `gradio_client` and HTTP can call.

Each answers from the same code as the page does. Its docstring is what the API's own page shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from app import gallery, runs, uploads
from app.catalogue import Recipe
from app.events import EXPORT, NETWORK, QUICK
from app.forms import LARGEST_SEED, check_choice, check_integer, says_what_is_wrong
from app.pictures import SIZES, Picture, built_in, data_url, to_image
from app.session import DEFAULT_PICTURE
from model.forward import q_sample
from model.sampler import standard_noise
from model.schedule import FAMILIES, NoiseSchedule


@says_what_is_wrong
def noise(
    picture: str = DEFAULT_PICTURE,
    image: gr.FileData | None = None,
    t: int = 300,
    seed: int = 0,
    size: int = 64,
    grey: bool = False,
    family: str = "linear",
    T: int = 1000,
    beta_start: float = 1e-4,
    beta_end: float = 0.02,
    s: float = 0.008,
    rescale: bool = False,
) -> dict[str, Any]:
    """A picture at step t of the forward process: x_t = signal · x_0 + noise · ε, ε from the seed.

    `picture`: hopper, china, flower or digit-0 … digit-9; `image`: a file of your own in its
    place; `size`: 32, 64 or 128 pixels a side; the rest as in /schedule. The answer has `pixels`
    of x_t, not clipped, as nested lists (C, H, W), where [−1, 1] is black to white; the same,
    clipped, as a PNG in a data URL, `png`; and ᾱ_t, √ᾱ_t and √(1−ᾱ_t) as `alpha_bar`, `signal`
    and `noise`.
    """
    schedule = _schedule(family, T, beta_start, beta_end, s, rescale)
    t = check_integer(t, "t", 0, schedule.T)
    seed = check_integer(seed, "The seed", 0, LARGEST_SEED)
    size = check_choice(size, "The size", SIZES)
    if image is None:
        source = built_in(check_choice(picture, "The picture", gallery.GALLERY))
    else:
        source = Picture(uploads.open_picture(uploaded(image)), "sent to the API")
    x0 = source.at(size, bool(grey))
    x_t = q_sample(schedule, x0, t, standard_noise(x0.shape, [seed])[0])
    return {
        "pixels": x_t.tolist(),
        "png": data_url(to_image(x_t)),
        "alpha_bar": schedule.alpha_bars[t].item(),
        "signal": schedule.signal[t].item(),
        "noise": schedule.noise[t].item(),
    }


@says_what_is_wrong
def schedule(
    family: str = "linear",
    T: int = 1000,
    beta_start: float = 1e-4,
    beta_end: float = 0.02,
    s: float = 0.008,
    rescale: bool = False,
) -> dict[str, list[float]]:
    """A schedule's β_t, ᾱ_t, √ᾱ_t and √(1−ᾱ_t) for t = 0 … T.

    `family`: linear, scaled linear, cosine or sigmoid; cosine reads `s`, the others β. With
    `rescale`, each step does the work of 1000/T steps.
    """
    built = _schedule(family, T, beta_start, beta_end, s, rescale)
    return {
        "betas": built.betas.tolist(),
        "alpha_bars": built.alpha_bars.tolist(),
        "signal": built.signal.tolist(),
        "noise": built.noise.tolist(),
    }


@says_what_is_wrong
def sample(
    model: str = "digits",
    label: int | None = None,
    seed: int = 0,
    sampler: str = "ddim",
    steps: int = 50,
    guidance: float = 2.0,
    eta: float = 0.0,
    variance: str = "posterior",
    spacing: str = "trailing",
    schedule: str = runs.TRAINED,
    matched: bool = True,
    clip: bool = True,
) -> dict[str, Any]:
    """One image: its pixels in [−1, 1] as nested lists (C, H, W), and as a PNG in a data URL.

    `sampler`: ddpm, ddim, heun or dpm_solver; `schedule`: as trained, linear, scaled linear,
    cosine or sigmoid.
    """
    settings = runs.run_settings(
        model=model, label=label, seed=seed, sampler=sampler, steps=steps, guidance=guidance,
        eta=eta, variance=variance, spacing=spacing, family=schedule, matched=matched, clip=clip,
    )  # fmt: skip
    image = runs.compute(settings).final
    return {"pixels": image.tolist(), "png": data_url(to_image(image))}


def build() -> None:
    """Open the endpoints, inside a `gr.Blocks`."""
    for endpoint, kind in ((noise, EXPORT), (schedule, QUICK), (sample, NETWORK)):
        queued = {k: v for k, v in kind.items() if k.startswith("concurrency")}
        gr.api(endpoint, api_name=endpoint.__name__, **queued)


def uploaded(image: Any) -> Path:
    """The file that a client uploaded; ValueError for any other, the server's own above all."""
    name = image.get("path") if isinstance(image, dict) else None
    path = Path(name).resolve() if isinstance(name, str) and "\0" not in name else None
    if path is None or not path.is_relative_to(Path(get_upload_folder()).resolve()):
        raise ValueError(
            "The image must be an uploaded file: in Python, gradio_client.handle_file(path)."
        )
    return path


def _schedule(
    family: Any, T: Any, beta_start: Any, beta_end: Any, s: Any, rescale: Any
) -> NoiseSchedule:
    check_choice(family, "The family", FAMILIES)
    return Recipe(family, T, beta_start, beta_end, s, bool(rescale)).build()
