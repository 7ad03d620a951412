"""Colours, type and page style, in both themes: the only place that names a colour.

One colour a symbol, everywhere: what belongs to x_0 and the signal, to ε, to what the network
believes (ε_θ, x̂_0) and to fresh noise z looks the same in formulas, frames, titles and curves.
The four stand apart for colour-blind eyes too (blue, orange, purple and green of different
lightness, after Okabe and Ito), and a symbol is always written beside its colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tone:
    """A colour in the light and in the dark theme."""

    light: str
    dark: str


SYMBOLS = {
    "signal": Tone("#0a62ad", "#6fb6ff"),  # x_0, √ᾱ_t
    "noise": Tone("#b34700", "#ffa057"),  # ε, √(1−ᾱ_t)
    "belief": Tone("#94308a", "#e59bdd"),  # ε_θ, x̂_0
    "fresh": Tone("#00705a", "#4fd0ac"),  # z
}

# Curves are told apart by colour and by dash.
CURVES = (
    Tone("#1f2937", "#e5e7eb"),
    Tone("#c01550", "#ff7fa5"),
    Tone("#7a6500", "#d9c24a"),
    Tone("#007a8a", "#50d2e4"),
    Tone("#6440c4", "#b6a1ff"),
    Tone("#5f6b7a", "#9aa6b5"),
)
# Plotly's name → how the same dash looks as an SVG stroke, and as a CSS border.
DASHES = {
    "solid": ("none", "solid"),
    "dash": ("8 5", "dashed"),
    "dot": ("3 4", "dotted"),
    "dashdot": ("9 4 3 4", "dashed"),
    "longdash": ("14 5", "dashed"),
    "longdashdot": ("14 4 3 4", "dashed"),
}

PAGE = {
    "page": Tone("#f6f7f9", "#0f1216"),
    "panel": Tone("#ffffff", "#181c22"),
    "sunken": Tone("#eef0f4", "#232933"),
    "line": Tone("#d9dde4", "#333b47"),
    "ink": Tone("#171b22", "#eef1f5"),
    "muted": Tone("#566172", "#a3aebd"),
    "accent": Tone("#2457c5", "#8fb4ff"),
    "on-accent": Tone("#ffffff", "#10151d"),
    "focus": Tone("#2457c5", "#8fb4ff"),
    "warning": Tone("#a03c00", "#ffb27a"),
}


# A scale between two colours that stand out in either theme.
_FROM, _TO = (0x2F, 0x7F, 0xD1), (0xE0, 0x70, 0x1A)


def between(share: float) -> str:
    """A colour on the way from the signal's (0) to the noise's (1), for either theme."""
    parts = (round(a + (b - a) * share) for a, b in zip(_FROM, _TO, strict=True))
    return "#" + "".join(f"{part:02x}" for part in parts)


def dash_of(slot: int) -> str:
    """The plotly name of a curve's dash; the pair of colour and dash repeats after 36 curves."""
    return tuple(DASHES)[(slot + slot // len(CURVES)) % len(DASHES)]


def dash_array_of(slot: int) -> str:
    """The same dash as an SVG stroke."""
    return DASHES[dash_of(slot)][0]


def css_dash_of(slot: int) -> str:
    """The same dash as a CSS border."""
    return DASHES[dash_of(slot)][1]


def tone_of(slot: int) -> Tone:
    return CURVES[slot % len(CURVES)]


def colour_name(slot: int) -> str:
    """The CSS variable that holds the colour of a curve."""
    return f"--curve-{slot % len(CURVES) + 1}"


def _variables(which: str) -> str:
    tones = {**PAGE, **SYMBOLS}
    tones |= {f"curve-{i}": tone for i, tone in enumerate(CURVES, 1)}
    return " ".join(f"--{name}: {getattr(tone, which)};" for name, tone in tones.items())


def _rgb(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgb({red}, {green}, {blue})"


def css() -> str:
    """The page's style sheet: variables of both themes, then the rules of page.css."""
    # The page's Markdown keeps a formula's colours in style attributes, as rgb(…); in the dark
    # theme they need their dark tone.
    formulas = "\n".join(
        f'.dark .katex [style*="{_rgb(tone.light)}"] {{ color: var(--{name}) !important; }}'
        for name, tone in SYMBOLS.items()
    )
    return "\n".join(
        [
            f":root {{ {_variables('light')} color-scheme: light; }}",
            f".dark {{ {_variables('dark')} color-scheme: dark; }}",
            formulas,
            (HERE / "page.css").read_text(encoding="utf-8"),
        ]
    )


def theme() -> gr.themes.Base:
    """Gradio's own widgets in our colours, with fonts that are on every machine."""
    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]
    both = {}
    for name, variable in {
        "body_background_fill": "page",
        "body_text_color": "ink",
        "body_text_color_subdued": "muted",
        "block_background_fill": "panel",
        "block_border_color": "line",
        "border_color_primary": "line",
        "background_fill_primary": "panel",
        "background_fill_secondary": "sunken",
        "input_background_fill": "sunken",
        "input_border_color": "line",
        "block_label_text_color": "muted",
        "block_title_text_color": "ink",
        "block_info_text_color": "muted",
        "button_primary_background_fill": "accent",
        "button_primary_background_fill_hover": "accent",
        "button_primary_text_color": "on-accent",
        "button_secondary_background_fill": "sunken",
        "button_secondary_background_fill_hover": "line",
        "button_secondary_text_color": "ink",
        "checkbox_background_color_selected": "accent",
        "checkbox_border_color_selected": "accent",
        "color_accent": "accent",
        "slider_color": "accent",
    }.items():
        both[name] = f"var(--{variable})"
        if name not in {"color_accent"}:
            both[f"{name}_dark"] = f"var(--{variable})"
    return gr.themes.Base(font=sans, font_mono=mono, radius_size=gr.themes.sizes.radius_lg).set(
        **both
    )
