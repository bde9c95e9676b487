"""A second controller, written from docs/protocol.md and nothing else: it does all that this allows, as early as it does.

Commands follow one another without waiting for answers, some are sent twice, a session is left by a new DEALER while the old
one still delivers, and only what is on disk is remembered. What the edge does and the document rules out is a complaint.
"""

import random
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.letter_notebook import LetterNotebook, LetterRun
from chaos.letter_socket import LetterKeys, LetterSocket, decoded

Message = dict[str, Any]
RECORDS = {"run_start", "field", "advice", "event", "run_stop"}
_AGAIN = {"lost", "timeout", "skipped"}  # fields of an interrupted run that are worth another exposure
_CONFIRM_S = 1.0
_TURN = 64


@dataclass(frozen=True, slots=True)
class LetterPlan:
    """What to scan. Times are a tenth of the document's, as the edges of these scans are set: 0.5 s of silence are a loss."""

    seed: int
    fields: int
    window: int
    encodings: tuple[str, ...] = ("json",)
    patience_s: float = 20.0
    dead_s: float = 0.5
    ping_s: float = 0.1
    answer_s: float = 0.3
    burst_gap_s: float = 0.0
    retakes: int = 0
    """fields that are imaged anew at the end of a run, the worst first"""
    pauses: bool = False
    doubled: float = 0.1
    """share of messages that are sent twice on purpose"""


class GivenUp(Exception):
    """The edge stays away, or the document says: stop."""


class LetterController:
    """Scans to the end, from wherever its notebook says that a former one was."""

    def __init__(self, endpoint: str, notebook: Path, plan: LetterPlan, keys: LetterKeys | None = None) -> None:
        self._draw = random.Random(f"letter {plan.seed} {time.time_ns()}")
        self._plan = plan
        self.notebook = LetterNotebook(notebook)
        self._socket = LetterSocket(endpoint, keys, self._draw)
        self._welcomed = False
        self._ended_s: float | None = None
        self._settled = False
        self._slow_until_s = 0.0
        self._progress_s = time.monotonic()
        self._fresh: list[Message] = []

    def scan(self) -> None:
        """Every field once. Raises `GivenUp`."""
        try:
            while (run := self._run_to_work_on()) is not None:
                self._credit, self._ended_s, self._settled = 0, None, False
                self._hello(run)
                while not self._settled:
                    self._turn(run)
        finally:
            self._socket.close()
            self.notebook.close()

    def _run_to_work_on(self) -> LetterRun | None:
        runs = self.notebook.runs
        if not runs:
            self.notebook.write({"run": str(uuid.uuid4())})
        elif runs[-1].ended:
            # Its last ACK may be lost with whoever sent it; the edge keeps those records until somebody comes for them.
            if runs[-1].records[-1]["outcome"] != "interrupted" or not self._left():
                return None
            self.notebook.write({"run": str(uuid.uuid4())})
        return runs[-1]

    def _left(self) -> list[int]:
        """Fields that have no end in any run and can still be announced in the newest: indices rise."""
        done = {
            record["field_index"]
            for run in self.notebook.runs
            for record in run.records
            if record["type"] == "field" and (record["status"] not in _AGAIN or not run.ended)
        }
        newest = self.notebook.runs[-1]
        last = -1 if newest.ended else max((c["field_index"] for c in newest.announced), default=-1)
        return [index for index in range(last + 1, self._plan.fields) if index not in done]

    # Session

    def _hello(self, run: LetterRun, *, resume: bool = True) -> None:
        """Over a new DEALER, as after every loss."""
        self._socket.abandon()
        self._welcomed, self._acked_s, self._pinged_s = False, 0.0, 0.0
        self._until = 0
        self._sent_s: dict[str, float] = {}
        self._hello_s = time.monotonic()
        hello: Message = {
            "type": "HELLO",
            "proto": 1,
            "encodings": list(self._plan.encodings),
            "role": "controller",
            "client_id": f"letter-{self._plan.seed}",
            "attempt": str(self.notebook.attempts + 1),
        }
        self.notebook.write({"attempt": self.notebook.attempts + 1})
        if resume and run.has("RUN_START"):
            boot_id = run.records[-1].get("boot_id") if run.records else None
            hello["resume"] = {"run_id": run.run_id, "next_seq": len(run.records), "boot_id": boot_id}
        self._resumed = "resume" in hello
        self._send(hello)

    def _send(self, message: Message) -> None:
        self._socket.send(message)
        if message["type"] != "HELLO" and self._draw.random() < self._plan.doubled:
            self._socket.send(message)

    def _turn(self, run: LetterRun) -> None:
        """Take what has come, all records of it with one write; then send what is due."""
        for number in range(_TURN):
            data = self._socket.receive(0.0 if number else 0.002)
            if data is None:
                break
            try:
                self._take(run, decoded(data, self._socket.encoding))
            except ValueError as problem:
                self.notebook.complain(str(problem))
        if self._fresh:
            self.notebook.write(*({"record": record} for record in self._fresh))
            self._fresh.clear()
            self._progress_s = time.monotonic()
            self._ack(run)
        now_s = time.monotonic()
        if now_s - self._progress_s > self._plan.patience_s:
            raise GivenUp(f"no progress for {self._plan.patience_s:g} s")
        if self._ended_s is not None and now_s - self._ended_s > _CONFIRM_S:
            self._settled = True
        elif now_s - self._socket.heard_s > self._plan.dead_s or (
            not self._welcomed and now_s - self._hello_s > self._plan.answer_s * 2
        ):
            self._hello(run)
        elif self._welcomed and now_s > self._slow_until_s:
            self._due(run, now_s)

    def _due(self, run: LetterRun, now_s: float) -> None:
        if now_s - self._pinged_s > self._plan.ping_s:
            self._ping(now_s)
        if run.records and now_s - self._acked_s > self._plan.answer_s:
            self._ack(run)
        if run.ended:
            self._end(run)
            return
        if not run.has("RUN_START"):
            self._command(self._run_start(run))
        waiting = run.unanswered
        if waiting and now_s - self._sent_s.get(waiting[0]["cmd_id"], 0.0) > self._plan.answer_s:
            for command in waiting:  # in their order, or an index would come after a later one
                self._send(command)
                self._sent_s[command["cmd_id"]] = now_s
        if self._started(run):
            self._announce(run)

    def _ping(self, now_s: float) -> None:
        self._send({"type": "PING", "nonce": str(self._draw.getrandbits(63)), "t_ns": str(time.monotonic_ns())})
        self._pinged_s = now_s

    def _ack(self, run: LetterRun) -> None:
        upto = len(run.records) - 1
        self._until = upto + 1 + self._plan.window
        self._send({"type": "ACK", "run_id": run.run_id, "upto_seq": upto, "send_until_seq": self._until})
        self._acked_s = time.monotonic()

    def _end(self, run: LetterRun) -> None:
        """Everything is on disk: what is left is that the edge knows it."""
        if self._ended_s is None:
            self._ended_s = time.monotonic()
            self._ack(run)
            self._ping(self._ended_s)

    # Commands

    def _command(self, *commands: Message) -> None:
        """On disk before they are sent."""
        self.notebook.write(*({"send": command} for command in commands))
        for command in commands:
            self._send(command)
            self._sent_s[command["cmd_id"]] = time.monotonic()
            if self._plan.burst_gap_s:
                time.sleep(self._draw.uniform(0.0, self._plan.burst_gap_s))

    def _run_start(self, run: LetterRun) -> Message:
        before = self.notebook.runs[-2].run_id if len(self.notebook.runs) > 1 else None
        return {
            "type": "RUN_START",
            "cmd_id": str(uuid.uuid4()),
            "run_id": run.run_id,
            "slide_id": f"S-{self._plan.seed}",
            "continues_run_id": before,
        }

    def _started(self, run: LetterRun) -> bool:
        return run.has("RUN_START") and all(command["type"] != "RUN_START" for command in run.unanswered)

    def _announce(self, run: LetterRun) -> None:
        """As many as there is credit for, one right after the other, and RUN_STOP right after the last."""
        if run.has("RUN_STOP"):
            return
        if self._plan.pauses and self._pause(run):
            return
        left = self._left()
        free = max(0, self._credit - len(run.announced))
        burst = [self._trigger(run, index) for index in left[:free]]
        if not self._plan.retakes and len(left) <= free:
            burst.append(self._run_stop(run))
        elif self._plan.retakes and not left:
            if len(run.announced) > sum(record["type"] == "field" for record in run.records):
                return  # whether a field is worth another one is seen when it has come
            retakes = self._retakes(run)
            burst = retakes[:free] if retakes else [self._run_stop(run)]
        if burst:
            self._command(*burst)

    def _run_stop(self, run: LetterRun) -> Message:
        return {"type": "RUN_STOP", "cmd_id": str(uuid.uuid4()), "run_id": run.run_id}

    def _retakes(self, run: LetterRun) -> list[Message]:
        """TRIGGERs for fields that nobody has asked to replace yet, those without a count first."""
        fields = [record for record in run.records if record["type"] == "field" and not record["replaces"]]
        named = {command["replaces"] for command in run.announced if "replaces" in command}
        wanted = sorted(fields, key=lambda field: (field["counted"], field["field_index"]))[: self._plan.retakes]
        last = max((command["field_index"] for command in run.announced), default=-1)
        found = []
        for field in wanted:
            if field["trigger_id"] not in named:
                last = max(last + 1, self._plan.fields)
                found.append({**self._trigger(run, last), "replaces": field["trigger_id"]})
        return found

    def _pause(self, run: LetterRun) -> bool:
        """Once in a run, for a moment; whoever comes after a kill finds it in the notebook. Whether the run is held now."""
        sent = [command for command in run.commands.values() if command["type"] in {"PAUSE", "CONTINUE"}]
        if any(command["cmd_id"] not in run.answered for command in sent):
            return True
        if len(sent) == 2 or (not sent and len(run.records) < 5):
            return False
        self._command({"type": "CONTINUE" if sent else "PAUSE", "cmd_id": str(uuid.uuid4()), "run_id": run.run_id})
        return True

    def _trigger(self, run: LetterRun, index: int) -> Message:
        stage = {"x_nm": str(95_160_000 * index), "y_nm": str(-index)}
        ids = {"cmd_id": str(uuid.uuid4()), "run_id": run.run_id, "trigger_id": f"t-{index}"}
        return {"type": "TRIGGER", **ids, "field_index": index, "stage": stage}

    # What comes

    def _take(self, run: LetterRun, message: Message) -> None:
        kind = message["type"]
        if kind in RECORDS:
            if message["run_id"] == run.run_id:
                self._record(run, message)
            return
        match kind:
            case "WELCOME":
                self._welcome(run, message)
            case "REJECT":
                self._reject(run, message["code"], message["reason"])
            case "PING":
                self._send({"type": "PONG", "nonce": message["nonce"], "t_ns": str(time.monotonic_ns())})
            case "PONG":
                if self._ended_s is not None and message["lag"] == 0:
                    self._settled = True
            case "CREDIT":
                if message["run_id"] == run.run_id:
                    self._credit = max(self._credit, message["trigger_until"])
            case "ACCEPTED" | "REJECTED":
                self._answer(run, message)

    def _welcome(self, run: LetterRun, welcome: Message) -> None:
        self._welcomed = True
        self._socket.encoding = welcome["encoding"]
        if welcome["encoding"] not in self._plan.encodings:
            self.notebook.complain(f"WELCOME names {welcome['encoding']}, which was not offered")
        known = next((each for each in welcome["runs"] if each["run_id"] == run.run_id), None)
        if known is not None:
            self._credit = max(self._credit, known["trigger_until"] or 0)
        if self._resumed:
            starts = [c["cmd_id"] for c in run.unanswered if c["type"] == "RUN_START"]
            self.notebook.write(*({"answered": cmd_id, "code": ""} for cmd_id in starts))
        self._sent_s.clear()
        if run.has("RUN_START") and self._started(run):
            self._ack(run)

    def _record(self, run: LetterRun, record: Message) -> None:
        due = len(run.records) + len(self._fresh)
        if record["seq"] < due:
            held = (
                run.records[record["seq"]]
                if record["seq"] < len(run.records)
                else self._fresh[record["seq"] - len(run.records)]
            )
            if held != record:
                self.notebook.complain(f"record {record['seq']} came again and is another one: {held} and {record}")
            return
        if record["seq"] > due:
            self.notebook.complain(f"record {due} was due and {record['seq']} came")
            return
        if record["seq"] >= self._until:
            self.notebook.complain(f"record {due} came and credit was given up to {self._until}")
        self._fresh.append(record)

    def _answer(self, run: LetterRun, answer: Message) -> None:
        command = run.commands.get(answer["cmd_id"])
        if command is None:
            return
        if answer.get("trigger_until") is not None:
            self._credit = max(self._credit, answer["trigger_until"])
        refused = answer["type"] == "REJECTED"
        code, why = answer.get("code", ""), answer.get("reason", "")
        if (before := run.answered.get(answer["cmd_id"])) is not None:
            if before != code:
                self.notebook.complain(
                    f"{command['type']} was answered {before or 'ACCEPTED'!r} and then {code or 'ACCEPTED'!r}"
                )
            return
        self._progress_s = time.monotonic()
        self.notebook.write({"answered": answer["cmd_id"], "code": code, "why": why})
        # From here on a pulse may be given.
        if not refused:
            if command["type"] == "RUN_START":
                self._ack(run)
        elif command["type"] == "RUN_START" and code in {"busy", "state"}:
            self._slow_until_s = time.monotonic() + self._plan.answer_s
            self._command(self._run_start(run))
        elif command["type"] not in {"TRIGGER", "PAUSE", "CONTINUE"} or code != "state":
            self.notebook.complain(f"{command['type']} was REJECTED {code}: {why}")
        else:  # the run ends, by which its fields are for another one; or not now
            self._slow_until_s = time.monotonic() + self._plan.answer_s

    def _reject(self, run: LetterRun, code: str, reason: str) -> None:
        match code:
            case "state" if self._welcomed:
                self._hello(run)
            case "unknown_run" | "ending" if run.ended:
                self._settled = True
            case "ending":
                time.sleep(self._plan.ping_s)
                self._hello(run)
            case "unknown_run" if not self._welcomed and self._resumed and not run.records:
                starts = [c["cmd_id"] for c in run.commands.values() if c["type"] == "RUN_START"]
                self.notebook.write({"never arrived": starts[-1]})
                self._hello(run, resume=False)
            case "rate":
                self._slow_until_s = time.monotonic() + self._plan.answer_s
            case _:
                self.notebook.complain(f"REJECT {code}: {reason}")
                if code in {"protocol", "encoding", "busy", "superseded", "other_history", "state", "unknown_run"}:
                    raise GivenUp(f"REJECT {code}: {reason}")
