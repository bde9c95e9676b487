"""All measurements of an instrument in their order: what each asks for, what is done already, and what a missing one costs."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib.commands.colour import colour
from calib.commands.flat_field import illumination
from calib.commands.focus import focus
from calib.commands.latency import latency
from calib.commands.pixel_size import pixel_size
from calib.commands.stage import stage
from calib.commands.thresholds import thresholds
from calib.profile_contents import STEPS, PartSaid, Step, contents, known_steps
from calib.red_cell_check import check_scale
from edge.contracts.errors import ConfigError, DataError, LeukoError, ProfileError
from edge.contracts.profile import Profile, load_profile, write_profile
from edge.contracts.whole_file import SMALL_BYTES, read_whole
from edge.files import parse_yaml

Ask = Callable[[str], str]
Say = Callable[[str], None]
Answers = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """`key` in the file of answers; an empty answer skips the step."""

    key: str
    text: str
    is_number: bool = False


QUESTIONS: dict[str, tuple[Question, ...]] = {
    "instrument": (
        Question("name", "name of the instrument"),
        Question("objective", "objective, such as 50x/0.95"),
    ),
    "pixel_size": (
        Question("image", "image of the stage micrometer, or a CSV of stage moves (image, x_um, y_um)"),
        Question("line_spacing_um", "distance between two lines of the micrometer in um", is_number=True),
    ),
    "illumination": (Question("source", "blank fields, such as folder:blank/ or a camera"),),
    "colours": (Question("source", "ordinary fields of several slides, such as folder:fields/ or a camera"),),
    "focus": (
        Question("stack", "folder of a z-stack"),
        Question("step_um", "distance between its images in um", is_number=True),
    ),
    "stage": (
        Question("grid", "folder of a grid of moves"),
        Question("moves", "CSV of its positions (image, x_um, y_um)"),
    ),
    "thresholds": (
        Question("labels", "annotated images (JSON lines of `leuko-train data export`)"),
        Question("root", "folder that their paths are in"),
    ),
    "latency": (
        Question("source", "ordinary fields, such as folder:fields/ or a camera; some ten minutes with nothing else running"),
        Question("p99_ms", "time in ms from the trigger to the record that 99 of 100 fields must keep", is_number=True),
    ),
}
_ASKED_WITHOUT = {("pixel_size", "line_spacing_um"): ".csv"}
"""A question that an earlier answer with this suffix makes needless."""

_SCALE_FIELDS = 64
_BEGINS = ("pixel_size", "illumination", "colours")
"""What can be measured without a profile."""
_NEEDS_SCALE = ("colours", "focus", "latency")
_KNOWS_ITS_SCALE = ("virtual:", "recording:")

_NUMBERED = re.compile(r"(\d+)-[a-z_]+\.json")


def read_answers(file: Path) -> Answers:
    """YAML: `instrument`, and a step's part (`pixel_size`, `stage`, ...), each with its answers. Raises `ConfigError`."""
    try:
        text = read_whole(file, SMALL_BYTES).decode("utf-8")
    except (OSError, UnicodeError) as problem:
        raise ConfigError(f"answers {file} cannot be read ({problem}); check the path given to --answers.") from problem
    content = parse_yaml(text, f"answers {file}", ConfigError) or {}
    if not isinstance(content, dict) or not all(isinstance(each, dict) for each in content.values()):
        raise ConfigError(f"answers {file} must hold one block of `key: value` lines for each of {', '.join(QUESTIONS)}.")
    for part, answers in content.items():
        known = [question.key for question in QUESTIONS.get(part, ())]
        if not known:
            raise ConfigError(f"answers {file} have `{part}`, which is no step; the steps are {', '.join(QUESTIONS)}.")
        for key in answers:
            if key not in known:
                raise ConfigError(f"answers {file} have `{key}` for {part}, which asks for {', '.join(known)}.")
    return {part: {key: str(value) for key, value in answers.items() if value is not None} for part, answers in content.items()}


class Installation:
    """A folder with one profile for each step that was done, numbered; none is ever changed.

    `ask` gives an answer to a question, empty to skip; `say` tells a sentence. Both may come from a script.
    """

    def __init__(self, folder: Path, ask: Ask, say: Say, bundle: Path | None = None) -> None:
        self._folder, self._ask, self._say, self._bundle = folder, ask, say, bundle
        self.path: Path | None = None
        self.profile: Profile | None = None
        self._look()

    def walk(self, answers: Answers, may_ask: bool) -> None:
        """Every step that is not done, in order. A step that fails is asked again, or with `may_ask` off left out."""
        named = self._answers("instrument", answers, may_ask) if self.profile is None else {}
        for step in known_steps():
            if step.part not in QUESTIONS:
                continue
            given = dict(answers)
            while not self._is_done(step):
                if self.path is None and step.part not in _BEGINS:
                    self._say(f"{step.name}: left out, because there is no profile yet; um/px comes first.")
                    break
                asked = self._answers(step.part, given, may_ask)
                if may_ask and (slip := _no_number(step.part, asked)):
                    self._say(f"{step.name}: {slip}.")
                    given.pop(step.part, None)
                    continue
                missing = self._missing(step.part, asked)
                if missing:
                    self._say(f"{step.name}: left out, because {missing}.")
                    break
                if step.part in _NEEDS_SCALE and not self._has_scale(asked):
                    self._say(f"{step.name}: left out, because no um/px is known yet; it comes first.")
                    break
                try:
                    self._measure(step, asked, named)
                except LeukoError as problem:
                    self._say(f"{step.name}: {problem}")
                    given.pop(step.part, None)
                    if not may_ask:
                        break
            else:
                self._say(f"{step.name}: done")

    def missing(self) -> list[PartSaid]:
        """Parts that were not measured, or have expired."""
        if self.profile is None:
            return [PartSaid(step, "", None, None, False) for step in known_steps()]
        return [part for part in contents(self.profile) if not part.said or part.expired]

    def _has_scale(self, asked: dict[str, str]) -> bool:
        known = self.profile is not None and self.profile.pixel_size is not None
        return known or asked.get("source", "").startswith(_KNOWS_ITS_SCALE)

    def _is_done(self, step: Step) -> bool:
        return all(part.step.part != step.part for part in self.missing())

    def _answers(self, part: str, answers: Answers, may_ask: bool) -> dict[str, str]:
        """What is given for `part`, and with `may_ask` what people say to the questions that are left."""
        found = dict(answers.get(part, {}))
        for question in QUESTIONS[part] if may_ask else ():
            if question.key in found:
                continue
            suffix = _ASKED_WITHOUT.get((part, question.key))
            if suffix and any(answer.lower().endswith(suffix) for answer in found.values()):
                continue
            answer = self._ask(f"{question.text} (nothing: leave {part.replace('_', ' ')} out)").strip()
            if not answer:
                break
            found[question.key] = answer
        return found

    @staticmethod
    def _missing(part: str, asked: dict[str, str]) -> str:
        """Why these answers are not enough, or nothing."""
        if not asked:
            return "nothing was given for it"
        for question in QUESTIONS[part]:
            suffix = _ASKED_WITHOUT.get((part, question.key))
            if question.key not in asked:
                if suffix and any(answer.lower().endswith(suffix) for answer in asked.values()):
                    continue
                return f"it lacks `{question.key}` ({question.text})"
        return _no_number(part, asked)

    def _measure(self, step: Step, asked: dict[str, str], named: dict[str, str]) -> None:
        """The step's own command, into the next free number."""
        self._folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(found[1]) for found in map(_NUMBERED.fullmatch, self._names()) if found), default=0)
        while any(f"{number}-{step.part}" in name for name in self._names()):
            number += 1
        out = self._folder / f"{number}-{step.part}.json"
        begun: dict[str, Any] = {"instrument": named.get("name", "unnamed"), "objective": named.get("objective")}
        if step.part == "colours" and self.profile is not None and self.profile.pixel_size is not None:
            self._say(_held_against_red_cells(self.profile.pixel_size.um_per_px, asked["source"], self._folder))
        _run(step.part, asked, out, self.path, self._bundle, begun)
        self._look()

    def _names(self) -> list[str]:
        return [file.name for file in self._folder.iterdir()] if self._folder.is_dir() else []

    def _look(self) -> None:
        numbered = [(int(found[1]), found[0]) for found in map(_NUMBERED.fullmatch, self._names()) if found]
        if numbered:
            self.path = self._folder / max(numbered)[1]
            self.profile, _ = load_profile(self.path)


def _no_number(part: str, asked: dict[str, str]) -> str:
    """What of these answers is no number although it has to be one, or nothing."""
    for question in QUESTIONS[part]:
        if question.is_number and question.key in asked and not _is_size(asked[question.key]):
            return f"`{question.key}` is {asked[question.key]!r} and must be a number above 0, with a point"
    return ""


def _is_size(text: str) -> bool:
    """What an option of the step's own command would take."""
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _held_against_red_cells(um_per_px: float, source: str, folder: Path) -> str:
    """What they say, even that they are too few to say anything. Raises `DataError` where they contradict the um/px, by which
    everything that follows would be wrong."""
    try:
        found = check_scale(source, um_per_px, _SCALE_FIELDS)
    except DataError as problem:
        return f"um/px: not held against red cells; {problem}"
    if found.contradicts(um_per_px):
        raise DataError(
            f"the um/px and the red cells of {source} do not agree: {found.sentence(um_per_px)} Look whether the distance of "
            "the lines or the stage's positions were right and whether these fields are of this objective; where the um/px is "
            f"wrong, begin in another folder than {folder}."
        )
    return f"um/px: the {found.cells} single red cells of {source} do not contradict it ({found.factor(um_per_px) - 1:+.0%})"


def _run(part: str, asked: dict[str, str], out: Path, profile: Path | None, bundle: Path | None, begun: dict[str, Any]) -> None:
    match part:
        case "pixel_size":
            spacing = asked.get("line_spacing_um")
            alone = out if profile is None else out.with_name(f"alone-{out.name}")
            pixel_size(Path(asked["image"]), alone, None if spacing is None else float(spacing), **begun)
            if profile is not None:
                _put_together(profile, alone, out)
        case "illumination":
            illumination(asked["source"], out, profile, **begun)
        case "colours":
            colour(asked["source"], out, profile=profile, bundle=bundle, **begun)
        case "focus":
            assert profile is not None
            focus(asked["stack"], profile, out, float(asked["step_um"]))
        case "stage":
            assert profile is not None
            stage(asked["grid"], Path(asked["moves"]), profile, out)
        case "latency":
            assert profile is not None
            latency(profile, out, asked["source"], bundle, p99_ms=float(asked["p99_ms"]))
        case _:
            assert profile is not None
            thresholds(Path(asked["labels"]), Path(asked["root"]), profile, out, bundle)


def _put_together(profile: Path, alone: Path, out: Path) -> None:
    """The scale that was measured last, in the profile so far. Raises `ProfileError` when it is another camera's."""
    before, after = load_profile(profile)[0], load_profile(alone)[0]
    if (before.camera.width_px, before.camera.height_px) != (after.camera.width_px, after.camera.height_px):
        raise ProfileError(
            f"the micrometer's image is {after.camera.width_px} x {after.camera.height_px} px and the fields of {profile} are "
            f"{before.camera.width_px} x {before.camera.height_px}; take it with the camera's full field."
        )
    write_profile(out, before.model_copy(update={"pixel_size": after.pixel_size}))


assert set(QUESTIONS) - {"instrument"} <= {step.part for step in STEPS}
