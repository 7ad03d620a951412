"""Links: an address that opens a tab with the settings that a person made in it.

Each tab declares its settings once, by the names that they have in an address, with the component
or the view that holds them; defaults and what is allowed are the component's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from gradio.components import Component

from app import gallery, permalink
from app.catalogue import DEFAULT_POINTS, MOST_POINTS
from app.components import Header, Opening
from app.events import QUICK, asked_now
from app.forms import check_choice, check_integer, says_what_is_wrong, sent
from app.language import said
from app.permalink import CannotTravelError, Setting, Values
from app.pictures import Picture, built_in
from app.session import DEFAULT_PICTURE, Session
from app.settings import current
from model.schedule import NoiseSchedule

MOST_WARNINGS = 3  # sentences: who mistyped an address entirely needs no list
SPEEDS = ("0.25", "0.5", "1", "2", "4")


def _same(value: Any) -> Any:
    return value


def _or_nothing(text: str | None) -> str:
    return text or ""


@dataclass(frozen=True)
class Kept:
    """A setting and what holds it: a component, or a view of a scene under a name of its own."""

    setting: Setting
    component: Component | None = None
    scene: str = ""
    own_name: str = ""
    take: Callable[[Any], Any] = _same  # the setting's value, from what the component holds
    tell: Callable[[Any, Values], Any] | None = None  # what the component is told


class Place:
    """One tab: its settings, and the events of its opening."""

    def __init__(self, session: Session, opens: Any, name: str, scenes: Sequence[str] = ()) -> None:
        """Inside the tab's context; `opens` is the event that opens it where no address does."""
        self.name = name
        self.view = Opening(place=name, scene=" ".join(scenes), elem_id=f"opening-{name}")
        # Whatever a tab computes first hangs on these: with an address, its settings come before.
        self.opened = [opens, self.view.opened]
        self.kept: list[Kept] = []
        self.followers: list[tuple[Any, Callable[[Values], Any]]] = []
        self._keep(picture_setting(), session.picture, take=key_of, tell=_built_in)
        self._keep(points_setting(), session.points, take=_as_lists, tell=lambda value, _: value)
        for scene in scenes:
            first = "" if scene == scenes[0] else f"{scene}."
            self.keep_view(permalink.number(f"{first}t", None, _check_t), "t", scene)
            self.keep_view(permalink.choice(f"{first}speed", None, SPEEDS), "speed", scene)

    def keep(
        self,
        name: str,
        component: Component,
        *,
        check: Callable[[Any], Any] | None = None,
        default: Any = None,
        choices: Callable[[Values], Sequence] | None = None,
        write: Callable[[Any], str] | None = None,
        tell: Callable[[Any, Values], Any] | None = None,
    ) -> None:
        """A control. Where it depends on settings before: its `default` and `choices` as functions
        of them, and `tell`, (value, values) → the update that it is given. `write`: where not all
        of its values can travel."""
        setting = setting_of(name, component, check, default, choices)
        if write is not None:
            setting = replace(setting, write=write)
        take = _or_nothing if isinstance(component, gr.Textbox) else _same
        self._keep(setting, component, take=take, tell=tell)

    def keep_state(
        self, setting: Setting, state: gr.State, tell: Callable[[Any, Values], Any]
    ) -> None:
        """What stands in no control."""
        self._keep(setting, state, tell=tell)

    def keep_view(self, setting: Setting, own_name: str, scene: str = "") -> None:
        """What a view holds in the browser, under `own_name` in its scene; None by default."""
        self.kept.append(Kept(setting, scene=scene or self.name, own_name=own_name))

    def follow(self, component: Any, tell: Callable[[Values], Any]) -> None:
        """What is no setting itself, but must be told of them."""
        self.followers.append((component, tell))

    def _keep(self, setting: Setting, component: Component, **how: Any) -> None:
        self.kept.append(Kept(setting, component, **how))

    @property
    def components(self) -> list[Component]:
        return [kept.component for kept in self.kept if kept.component is not None]

    @property
    def settings(self) -> list[Setting]:
        return [kept.setting for kept in self.kept]

    def connect(self, names: Sequence[str]) -> None:
        """When all is declared; `names` are those of all tabs."""

        def restore(event: gr.EventData) -> list:
            return self.restored(sent(event, "query"), names)

        followers = [component for component, _ in self.followers]
        self.view.linked(restore, outputs=[self.view, *self.components, *followers], **QUICK)

    def restored(self, query: Any, names: Sequence[str]) -> list:
        """What the view and the components are told; a warning for what the address has wrong."""
        parts = permalink.parts_of(query if isinstance(query, str) else "")
        known = parts.get(permalink.TAB, self.name) == self.name
        values, wrong = permalink.values_of(self.settings, parts if known else {})
        if not known:
            wrong = [f"In the address, “tab” must be one of {', '.join(names)}."]
        if wrong:  # in one: Gradio shows no two at a time
            gr.Warning(" ".join(map(said, wrong[:MOST_WARNINGS])))
        scenes: dict[str, dict] = {}
        for kept in self.kept:
            if kept.component is None and values[kept.setting.name] is not None:
                scenes.setdefault(kept.scene, {})[kept.own_name] = values[kept.setting.name]
        told = [_told(kept, values) for kept in self.kept if kept.component is not None]
        return [{"scenes": scenes}, *told, *(tell(values) for _, tell in self.followers)]

    def query(self, held: Sequence[Any], scenes: Any) -> tuple[str, list[str]]:
        """The address of what the components and the views hold, and what it leaves out."""
        scenes = scenes if isinstance(scenes, dict) else {}
        held = iter(held)
        values = {}
        for kept in self.kept:
            if kept.component is not None:
                value = kept.take(next(held))
            else:
                scene = scenes.get(kept.scene)
                value = scene.get(kept.own_name) if isinstance(scene, dict) else None
            values[kept.setting.name] = value
        return permalink.query_of(self.name, self.settings, values)


def connect(header: Header, places: Sequence[Place]) -> None:
    """Let the header's button copy the address of the tab on show, and each tab read its own."""
    names = [place.name for place in places]
    for place in places:
        place.connect(names)

    @says_what_is_wrong
    def answer(event: gr.EventData, *held: Any) -> dict[str, Any]:
        tab, start = check_choice(sent(event, "tab"), "The tab", names), 0
        for place in places:
            end = start + len(place.components)
            if place.name == tab:
                query, left_out = place.query(held[start:end], sent(event, "scenes"))
            start = end
        note = f"Left out: {', '.join(left_out)}." if left_out else ""
        return {"query": query, "note": note, "number": asked_now()}

    header.asked(answer, [c for place in places for c in place.components], header, **QUICK)


def setting_of(
    name: str,
    component: Component,
    check: Callable[[Any], Any] | None = None,
    default: Any = None,
    choices: Callable[[Values], Sequence] | None = None,
) -> Setting:
    """The setting that a control holds, with the control's own default, choices and range."""
    default = component.value if default is None else default
    if isinstance(component, (gr.Radio, gr.Dropdown, gr.CheckboxGroup)):
        allowed = choices or [value for _, value in component.choices]
        many = isinstance(component, gr.CheckboxGroup) or getattr(component, "multiselect", False)
        return (permalink.several if many else permalink.choice)(name, default, allowed)
    if isinstance(component, gr.Checkbox):
        return permalink.switch(name, default)
    if isinstance(component, gr.Slider):
        check = check or permalink.within(name, component.minimum, component.maximum)
        return permalink.number(name, default, check)
    if isinstance(component, gr.Number):
        return permalink.number(name, default, check or permalink.within(name, -1e9, 1e9))
    if isinstance(component, gr.Textbox):
        return permalink.words(name, default or "")
    raise TypeError(f"no setting is made of a {type(component).__name__}")


def _told(kept: Kept, values: Values) -> Any:
    value = values[kept.setting.name]
    if kept.tell is not None:
        return kept.tell(value, values)
    return gr.skip() if value == kept.component.value else gr.update(value=value)


# -- what the tabs share -----------------------------------------------------------------------


def picture_setting() -> Setting:
    """The picture, by its key in the gallery; a person's own has none."""

    def write(key: str | None) -> str:
        if key is None:
            raise CannotTravelError("your own picture")
        return key

    def read(text: str, _: Values) -> str:
        return check_choice(text, "“picture”", gallery.GALLERY)

    return Setting("picture", DEFAULT_PICTURE, read, write)


def key_of(picture: Picture | None) -> str | None:
    return picture.key if picture else DEFAULT_PICTURE


def _built_in(key: str, _: Values) -> Any:
    return gr.skip() if key == DEFAULT_PICTURE else built_in(key)


def points_setting() -> Setting:
    """The control points of the custom schedule, as t/T:ᾱ with commas between them."""

    def read(text: str, _: Values) -> list[list[float]]:
        pairs = [pair.split(":") for pair in text.split(",")]
        if not 2 <= len(pairs) <= MOST_POINTS or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"“points” must be 2 to {MOST_POINTS} pairs like 0:1,0.5:0.5,1:0.001")
        points = [[float(permalink.number_in(n, "“points”")) for n in pair] for pair in pairs]
        NoiseSchedule.from_points(points, 10)  # raises for what makes none
        return points

    def write(points: list[list[float]]) -> str:
        return ",".join(":".join(map(permalink.shown_number, pair)) for pair in points)

    return Setting("points", _as_lists(DEFAULT_POINTS), read, write)


def _as_lists(points: Any) -> Any:
    return [[float(u), float(a)] for u, a in points]


def _check_t(value: Any) -> int:
    return check_integer(value, "“t”", 0, current().max_T)
