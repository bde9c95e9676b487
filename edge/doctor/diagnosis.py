"""What `leuko-edge run` would open on this machine, by the rules by which it opens it, and what keeps it from more."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.camera.correction import Correction
from edge.contracts.bundle import MANIFEST, Bundle, load_bundle
from edge.contracts.choices import Correct
from edge.contracts.engine_files import RUNTIME_NAMES
from edge.contracts.errors import BundleError, EngineError, LeukoError, ProfileError
from edge.contracts.profile import load_profile
from edge.doctor.facts import OPENVINO, Fact, find_facts
from edge.doctor.what_opens import Opening, opening_on_server
from edge.engine.choice import Choice, require_possible, weigh_engines
from edge.engine.engine_places import engine_places
from edge.engine.machine import Machine
from edge.engine.precision_gate import BF16, ChosenPrecision, choose_precision
from edge.engine.quantised_gate import parity_of
from edge.engine.survey import Verdict, Wanted, survey
from edge.pipeline.field_correction import correction_of
from edge.pipeline.gate_doubt import doubt_of_gate
from edge.settings import EdgeSettings
from edge.settings.profile_layer import layer_of
from edge.signing import signers_in

_NONE = "none:"
"""No source is looked at here."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about. Frame and batch that are None are the bundle's field and one frame, as in a run."""

    bundle: Path
    engine_dir: Path | None = None
    frame_px: tuple[int, int] | None = None
    max_batch: int | None = None
    signers: Path | None = None
    profile: Path | None = None
    correct: Correct = "profile"
    settings: EdgeSettings | None = None
    """what else a run would be told; None: nothing"""
    why: str = ""
    """which bundle serves and why, where that is to be said"""
    problem: LeukoError | None = None
    """why the settings cannot be had, of which all else is a part"""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer."""

    facts: list[Fact]
    machine: Machine
    opening: Opening
    bundle: Bundle | None = None
    wanted: Wanted | None = None
    engines: list[Verdict] = field(default_factory=list)
    gpu_engine_lacks: list[str] = field(default_factory=list)
    """sentences; empty without a GPU, and when the run opens a GPU engine"""
    gate_doubt: str = ""
    """a sentence where the gate was passed on other fields than a run with the profile has"""
    why: str = ""
    """which bundle serves and why"""
    precision: ChosenPrecision | None = None
    """what OpenVINO would compute in; None where nothing of the kind would be opened"""


def diagnose(question: Question, machine: Machine) -> Diagnosis:
    """Look at everything; never raises. Neither engine nor camera is opened, and nothing is computed; a server is asked."""
    facts, told = find_facts(machine), question.settings or EdgeSettings(source=_NONE)
    if question.problem is not None:
        return Diagnosis(facts, machine, Opening(problem=question.problem))
    try:
        signers = signers_in(question.signers)
        bundle = load_bundle(question.bundle)
        if signers is not None:
            signers.require("bundle", bundle.path / MANIFEST, bundle.bundle_id)
        correction = _correction(question, bundle)
    except ProfileError as problem:
        return Diagnosis(facts, machine, Opening(problem=problem))
    except Exception as problem:  # noqa: BLE001 what would stop a run is the answer
        said = _told(problem, f"bundle {question.bundle}", BundleError)
        return Diagnosis(facts, machine, Opening(problem=said))
    places = [str(place) for place in engine_places(bundle, question.engine_dir)]
    facts.append(Fact("engines in", ", then ".join(places) + (", into which they are built" if len(places) > 1 else "")))
    manifest = bundle.manifest
    width_px, height_px = question.frame_px or (manifest.field_width_px, manifest.field_height_px)
    wanted = Wanted(width_px, height_px, question.max_batch or 1)
    # Without a camera to compare with, an engine for another camera is as good as any.
    judged_by = wanted if question.frame_px or question.max_batch else None
    engines: list[Verdict] = []
    choice, saw, chosen = Choice(), None, None
    try:
        engines = survey(bundle, machine, judged_by, question.engine_dir, signers)
        require_possible(bundle, told.engine, told.precision)
        if told.engine != "openvino" and told.precision == "auto" and bundle.manifest.quantisation is None:
            choice = weigh_engines(
                bundle,
                machine,
                wanted,
                runtime=None if told.engine == "auto" else told.engine,
                engine_dir=question.engine_dir,
                allow_ungated=told.allow_ungated_engine,
                signers=signers,
            )
        elif bundle.manifest.quantisation is not None:
            _, saw = parity_of(bundle, question.engine_dir, allow_ungated=told.allow_ungated_engine, signers=signers)
        if choice.files is None and not choice.refused and bundle.manifest.quantisation is None and _usable(facts, OPENVINO):
            chosen = choose_precision(
                bundle,
                told.precision,
                question.engine_dir,
                allow_ungated=told.allow_ungated_engine,
                signers=signers,
                profile=question.profile if correction is not None else None,
            )
            saw = chosen.saw
        if choice.files is not None:
            choice.files.read_plan()
            saw = choice.files.parity.saw if choice.files.parity is not None else None
    except Exception as problem:  # noqa: BLE001 see above
        opening = Opening(problem=_told(problem, f"an engine of bundle {bundle.path}", EngineError))
    else:
        opening = _opening(choice, machine, facts, told, chosen)
    wants_gpu = machine.gpu is not None and told.engine != "openvino" and told.server is None
    lacks = _lacking(machine, choice) if wants_gpu and choice.files is None else []
    key = f"engine {opening.key}" if opening.key else f"bundle {bundle.path}"
    served = None
    if told.server is not None:
        fact, opening, served = opening_on_server(told, bundle, wanted, opening)
        facts.append(fact)
        key, saw = (f"inference server {told.server}", served.saw) if served is not None else (key, saw)
    # Of this machine's own engine alone: where a server computes, its fallback is not what is spoken of first.
    here = chosen if opening.problem is None and opening.runtime == OPENVINO else None
    doubt = doubt_of_gate(
        key,
        saw,
        correction,
        bundle,
        profile=question.profile,
        engine_dir=question.engine_dir,
        server=told.server if served is not None else None,
        precision=BF16 if served is None and here is not None and here.saw is not None else None,
    )
    return Diagnosis(facts, machine, opening, bundle, wanted, engines, lacks, doubt, question.why, here)


def _usable(facts: list[Fact], name: str) -> bool:
    return any(fact.usable for fact in facts if fact.name == name)


def _correction(question: Question, bundle: Bundle) -> Correction | None:
    """What the profile makes of fields. Raises `ProfileError` for one that the edge refuses."""
    if question.profile is None:
        return None
    profile, _ = load_profile(question.profile)
    layer = layer_of(profile, bundle, question.profile, question.correct)
    return correction_of(layer.light, layer.colours, bundle)


def _opening(
    choice: Choice, machine: Machine, facts: list[Fact], told: EdgeSettings, chosen: ChosenPrecision | None
) -> Opening:
    if choice.refused:
        return Opening(problem=EngineError(choice.reason))
    if choice.files is not None and machine.gpu is not None:
        request, key = choice.files.manifest.request, choice.files.path.name
        name, version = RUNTIME_NAMES[request.runtime], machine.runtimes[request.runtime].version
        return Opening(f"engine {key} by {name} {version} on {machine.gpu.identity.name}, f16", name, key)
    (openvino,) = (fact for fact in facts if fact.name == OPENVINO)
    if not openvino.usable:
        return Opening(problem=EngineError(f"OpenVINO {openvino.text}; install leukostream again, which brings OpenVINO."))
    asked = "" if told.precision == "auto" else f"; {told.precision} is asked for"
    if told.precision == "auto" and chosen is not None and chosen.gate == "failed":
        asked = f"; {chosen.precision} for this bundle"
    asked += f"; hint {'latency' if told.hint == 'auto' else told.hint}"
    return Opening(f"{OPENVINO} {openvino.text}{asked}", OPENVINO)


def _lacking(machine: Machine, choice: Choice) -> list[str]:
    """Everything at once: who has installed one piece should not learn of the next one by the next run."""
    runtimes = [machine.runtimes[runtime] for runtime in RUNTIME_NAMES if runtime in machine.runtimes]
    lacks = [] if any(not found.missing for found in runtimes) else [found.missing for found in runtimes]
    if machine.pycuda.missing:
        lacks.append(machine.pycuda.missing)
    # The sentence about the best engine may quote one of these.
    return [each for each in lacks if each not in choice.reason] + ([choice.reason] if choice.reason else [])


def _told(problem: Exception, what: str, kind: type[LeukoError]) -> LeukoError:
    if isinstance(problem, LeukoError):
        return problem
    return kind(f"{what} cannot be read ({type(problem).__name__}: {problem}); write it anew, or check who may read it.")
