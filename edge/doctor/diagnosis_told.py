"""What `leuko-edge doctor` finds, for a controller that asks while an edge runs."""

from edge.contracts.about_edge import Finding
from edge.contracts.names import printable
from edge.doctor.diagnosis import Question, diagnose
from edge.engine.machine import look_at_machine
from edge.settings import Setup


def findings(question: Question) -> tuple[Finding, ...]:
    """One per piece of this machine, per engine of the bundle, and per thing that keeps a run from more. Takes some seconds."""
    found = diagnose(question, look_at_machine(everything=True))
    opening = found.opening
    told = [Finding(name=each.name, text=printable(each.text), usable=each.usable) for each in found.facts]
    told += [
        Finding(name=printable(f"engine {verdict.folder.name}"), text=printable(verdict.reason or "fits"), usable=verdict.fits)
        for verdict in found.engines
    ]
    if opening.problem is not None:
        told.append(Finding(name="a run", text=printable(str(opening.problem)), usable=False))
    else:
        told.append(Finding(name="a run", text=printable(f"would open {opening.text}")))
    return (*told, *(Finding(name="a GPU engine", text=printable(each), usable=False) for each in found.gpu_engine_lacks))


def question_of(setup: Setup) -> Question:
    """What a run with this setup would ask `doctor`."""
    settings = setup.settings
    return Question(setup.bundle.path, engine_dir=settings.engine_dir, max_batch=settings.max_batch, signers=settings.signers)
