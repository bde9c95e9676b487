"""The reference client: connects, commands, and yields every record of a run exactly once, in order."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from edge.contracts.errors import StreamError
from edge.contracts.messages import (
    AbortCommand,
    Accepted,
    Ack,
    ContinueCommand,
    Credit,
    FromEdge,
    Hello,
    PauseCommand,
    Pong,
    Query,
    Rejected,
    Resume,
    Role,
    RunCommand,
    RunStartCommand,
    RunStopCommand,
    State,
    TriggerCommand,
    Welcome,
)
from edge.contracts.names import checked_name
from edge.contracts.records import Advice, Event, FieldRecord, Record, RunStart, RunStop, StagePosition
from edge.contracts.run_order import RunOrder
from edge.stream.curve_keys import ClientKeys
from edge.stream.link import Link, SessionLost
from edge.stream.settings import ClientSettings

_TICK_S = 0.1
"""How soon a requested stop is noticed."""

Command = RunCommand | Query


@dataclass(slots=True)
class _RunPosition:
    """Where this client stands in a run: `next_seq` is due on the wire, everything below `handed` was given to the caller,
    and everything below `taken` is safe with it. `acknowledged_s` is when it last said so."""

    run_id: str
    next_seq: int
    handed: int
    taken: int
    acknowledged: int
    acknowledged_s: float = 0.0
    boot_id: str | None = None
    """of the record before `next_seq`: which history of the run it belongs to"""
    finished: bool = False
    """`run_stop` was given to the caller"""


class Controller:
    """One client of one edge, for one thread. `role` may be "observer": it reads, and commands nothing.

    `client_id` is the identity that a restarted controller must present again to get its lease and its run back. A name that no
    message can carry (empty, longer than 128 characters, not UTF-8) is a `ConfigError` before anything is sent.
    """

    def __init__(
        self,
        endpoint: str,
        role: Role = "controller",
        client_id: str | None = None,
        encodings: tuple[str, ...] = ("json",),
        settings: ClientSettings | None = None,
        keys: ClientKeys | None = None,
    ) -> None:
        self.role = role
        self.client_id = f"{role}-{uuid.uuid4()}" if client_id is None else checked_name("client id", client_id)
        self._encodings = encodings
        self._settings = settings or ClientSettings()
        self._link = Link(endpoint, self._settings, keys)
        self._reading: _RunPosition | None = None
        self._inbox: deque[Record] = deque()
        self._awaited_cmd_id = ""
        self._answers: deque[Accepted | Rejected | State] = deque()
        self._stop = threading.Event()
        self._over: SessionLost | None = None
        """The edge has ended behind a run that is held whole: there is nothing to look for until a command wants an edge."""
        self.trigger_until: dict[str, int] = {}
        """Per run: so many triggers may be announced in all."""

    def __enter__(self) -> "Controller":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def edge(self) -> Pong | None:
        """The edge's last PONG: its state, last seq and lag."""
        return self._link.edge

    def connect(self, timeout_s: float = 5.0, resume: Resume | None = None) -> Welcome:
        """Open the session; with `resume` a restarted controller goes on where it was. Raises `StreamError`."""
        welcome = self._link.open(self._hello(resume), timeout_s)
        self._welcomed(welcome)
        if resume is not None:
            self.follow(resume.run_id, resume.next_seq, resume.boot_id)
        return welcome

    def start_run(
        self,
        *,
        run_id: str | None = None,
        slide_id: str | None = None,
        sample_id: str | None = None,
        continues_run_id: str | None = None,
        max_fields: int | None = None,
        order: RunOrder | None = None,
        profile: str | None = None,
        timeout_s: float = 5.0,
    ) -> str:
        """Start a run and return its id (a new UUID unless given). Raises `StreamError` with the edge's reason."""
        command = RunStartCommand(
            cmd_id=str(uuid.uuid4()),
            run_id=str(uuid.uuid4()) if run_id is None else checked_name("run id", run_id),
            slide_id=None if slide_id is None else checked_name("slide id", slide_id),
            sample_id=None if sample_id is None else checked_name("sample id", sample_id),
            continues_run_id=None if continues_run_id is None else checked_name("run id", continues_run_id),
            max_fields=max_fields,
            order=order,
            profile=None if profile is None else checked_name("profile", profile),
        )
        self._accepted(command, timeout_s)
        self.follow(command.run_id, 0)
        return command.run_id

    def trigger(
        self,
        run_id: str,
        trigger_id: str,
        field_index: int,
        stage_nm: tuple[int, int] | tuple[int, int, int] | None = None,
        cmd_id: str | None = None,
        timeout_s: float = 5.0,
        replaces: str | None = None,
    ) -> Accepted:
        """Announce an exposure; the pulse may follow once this returns. Raises `StreamError`.

        `stage_nm` is x, y and, where it is known, z; `replaces` the trigger whose place this exposure is to take.

        After a lost answer repeat it with the same `cmd_id`, also with a new `Controller`: it is entered once.
        """
        stage = None
        if stage_nm is not None:
            stage = StagePosition(x_nm=stage_nm[0], y_nm=stage_nm[1], z_nm=stage_nm[2] if len(stage_nm) == 3 else None)
        command = TriggerCommand(
            cmd_id=str(uuid.uuid4()) if cmd_id is None else checked_name("command id", cmd_id),
            run_id=checked_name("run id", run_id),
            trigger_id=checked_name("trigger id", trigger_id),
            field_index=field_index,
            stage=stage,
            replaces=None if replaces is None else checked_name("trigger id", replaces),
        )
        return self._accepted(command, timeout_s)

    def stop_run(self, run_id: str, timeout_s: float = 5.0) -> Accepted:
        """Ask for the end of a run; `run_stop` follows among the records. Raises `StreamError`."""
        return self._accepted(RunStopCommand(cmd_id=str(uuid.uuid4()), run_id=checked_name("run id", run_id)), timeout_s)

    def abort_run(self, run_id: str, timeout_s: float = 5.0) -> Accepted:
        """End a run at once: what has not ended ends as `skipped`, then `run_stop` follows. Raises `StreamError`."""
        return self._accepted(AbortCommand(cmd_id=str(uuid.uuid4()), run_id=checked_name("run id", run_id)), timeout_s)

    def pause_run(self, run_id: str, timeout_s: float = 5.0) -> Accepted:
        """Hold a run until `continue_run`, also over the end of this session. Raises `StreamError`."""
        return self._accepted(PauseCommand(cmd_id=str(uuid.uuid4()), run_id=checked_name("run id", run_id)), timeout_s)

    def continue_run(self, run_id: str, timeout_s: float = 5.0) -> Accepted:
        """End the pause of a run. Raises `StreamError`."""
        return self._accepted(ContinueCommand(cmd_id=str(uuid.uuid4()), run_id=checked_name("run id", run_id)), timeout_s)

    def query(
        self, run_id: str | None = None, timeout_s: float = 5.0, *, from_run: int | None = None, ask: tuple[str, ...] = ()
    ) -> State:
        """The state of one run, of those in WELCOME, or of 64 from `from_run` on. `ask` may hold "health" and "doctor", which
        takes some seconds. Raises `StreamError`."""
        asked = None if run_id is None else checked_name("run id", run_id)
        answer = self.command(Query(cmd_id=str(uuid.uuid4()), run_id=asked, from_run=from_run, ask=ask), timeout_s)
        if not isinstance(answer, State):
            raise StreamError(refusal(answer))
        return answer

    def command(self, command: Command, timeout_s: float = 5.0) -> Accepted | Rejected | State:
        """Send a command, repeat it under the same `cmd_id` until it is answered, return the answer. Raises `StreamError`."""
        deadline_s = time.monotonic() + timeout_s
        self._awaited_cmd_id = command.cmd_id
        self._answers.clear()
        while time.monotonic() < deadline_s:
            self._seek_an_edge()
            self._send(command)
            retry_s = min(deadline_s, time.monotonic() + self._settings.command_retry_s)
            while (left_s := retry_s - time.monotonic()) > 0:
                self._receive(left_s)
                if self._answers:
                    answer = self._answers.popleft()
                    if isinstance(answer, Accepted) and not isinstance(command, Query):
                        self._credit(command.run_id, answer.trigger_until)
                    return answer
        raise StreamError(
            f"the edge at {self._link.endpoint} did not answer {command.type} within {timeout_s:g} s; look at its log."
        )

    def request_stop(self) -> None:
        """For a signal handler or another thread: `records` sends RUN_STOP and goes on to `run_stop`; an observer just ends."""
        self._stop.set()

    def records(self, run_id: str | None = None, from_seq: int | None = None) -> Iterator[Record]:
        """Every record of the run once and in order; the last is `run_stop`.

        Without `run_id`: the run started or resumed. Without `from_seq`: from where this client stands in it.
        A record is acknowledged once the caller asks for the next one. A lost edge is searched for and the run resumed;
        raises `StreamError` when it stays lost, when it no longer holds the run, or when a record is missing.
        """
        if run_id is not None and (from_seq is not None or self._reading is None or self._reading.run_id != run_id):
            self.follow(run_id, from_seq or 0)
        reading = self._require_run()
        while True:
            if self._stop.is_set():
                self._stop.clear()
                if self.role == "observer":
                    return
                self.stop_run(reading.run_id)
            record = self.poll(_TICK_S)
            if record is not None:
                yield record
            if isinstance(record, RunStop):
                reading.taken = reading.handed
                self._acknowledge(reading)
                return

    def poll(self, wait_s: float) -> Record | None:
        """The next record of the run, None when none came within `wait_s`.

        Asking says that all records before are safe: they are acknowledged, at the latest when nothing else is to be read.
        Behind `run_stop` none comes, and an edge that ends then is not missed.
        """
        reading = self._require_run()
        reading.taken = reading.handed
        if self._over is not None:
            time.sleep(wait_s)
            return None
        if reading.taken - reading.acknowledged > self._settings.window // 4:
            self._acknowledge(reading)
        if not self._inbox and not self._receive(0.0):
            # Said again now and then: the edge may have dropped it, for too many messages, and would wait for credit for ever.
            silent_s = time.monotonic() - reading.acknowledged_s
            if reading.taken > reading.acknowledged or silent_s > self._settings.ping_every_s:
                self._acknowledge(reading)
            self._receive(wait_s)
        if not self._inbox:
            return None
        record = self._inbox.popleft()
        reading.handed = record.seq + 1
        reading.finished = isinstance(record, RunStop)
        return record

    def follow(self, run_id: str, from_seq: int, boot_id: str | None = None) -> None:
        """Read this run from `from_seq` on; all before are safe here. `boot_id` is that of the last of them."""
        self._seek_an_edge()
        self._reading = _RunPosition(checked_name("run id", run_id), from_seq, from_seq, from_seq, from_seq, boot_id=boot_id)
        self._inbox.clear()
        self._acknowledge(self._reading)

    def close(self) -> None:
        """End the session."""
        self._link.close()

    def _hello(self, resume: Resume | None) -> Hello:
        return Hello(encodings=self._encodings, role=self.role, client_id=self.client_id, resume=resume)

    def _require_run(self) -> _RunPosition:
        if self._reading is None:
            raise StreamError("there is no run to read; start one, or name one that the edge lists in WELCOME.")
        return self._reading

    def _acknowledge(self, reading: _RunPosition) -> None:
        reading.acknowledged, reading.acknowledged_s = reading.taken, time.monotonic()
        until_seq = reading.taken + self._settings.window
        self._send(Ack(run_id=reading.run_id, upto_seq=reading.taken - 1, send_until_seq=until_seq))

    def _accepted(self, command: RunCommand, timeout_s: float) -> Accepted:
        answer = self.command(command, timeout_s)
        if not isinstance(answer, Accepted):
            raise StreamError(refusal(answer))
        return answer

    def _send(self, message: Command | Ack) -> None:
        try:
            self._link.send(message)
        except SessionLost as loss:
            self._reopen(loss)

    def _welcomed(self, welcome: Welcome) -> None:
        for run in welcome.runs:
            self._credit(run.run_id, run.trigger_until)

    def _credit(self, run_id: str, trigger_until: int | None) -> None:
        if trigger_until is not None:
            self.trigger_until[run_id] = max(trigger_until, self.trigger_until.get(run_id, 0))

    def _receive(self, wait_s: float) -> bool:
        """Receive at most one message and put it where it belongs; whether one came."""
        try:
            message = self._link.receive(wait_s)
        except SessionLost as loss:
            self._reopen(loss)
            return False
        if message is not None:
            self._dispatch(message)
        return message is not None

    def _dispatch(self, message: FromEdge) -> None:
        match message:
            case Accepted() | Rejected() | State():
                if message.cmd_id == self._awaited_cmd_id:
                    self._answers.append(message)
            case Credit():
                self._credit(message.run_id, message.trigger_until)
            case Welcome():  # our HELLO came twice: the session began anew, and without the credit that was given
                self._welcomed(message)
                if self._reading is not None:
                    self._acknowledge(self._reading)
            case RunStart() | FieldRecord() | Advice() | Event() | RunStop():
                self._take_record(message)
            case _:
                pass  # heartbeats and refusals ended in the link

    def _take_record(self, record: Record) -> None:
        reading = self._reading
        if reading is None or record.run_id != reading.run_id or record.seq < reading.next_seq:
            return  # another run's, or sent again after a reconnect
        if record.seq > reading.next_seq:
            raise StreamError(
                f"run {record.run_id} has a gap: seq {reading.next_seq} was due and {record.seq} came; "
                f"resume from {reading.next_seq}, and report this as a defect of the edge."
            )
        reading.next_seq += 1
        reading.boot_id = record.boot_id
        self._inbox.append(record)

    def _seek_an_edge(self) -> None:
        loss, self._over = self._over, None
        if loss is not None:
            self._reading = None
            self._reopen(loss)

    def _reopen(self, loss: SessionLost) -> None:
        reading = self._reading
        if loss.edge_is_ending and reading is not None and reading.finished:
            self._over = loss
            return
        resume = Resume(run_id=reading.run_id, next_seq=reading.next_seq, boot_id=reading.boot_id) if reading else None
        try:
            self._welcomed(self._link.open(self._hello(resume), self._settings.reconnect_s))
        except StreamError as problem:
            raise StreamError(f"the session was lost ({loss}) and could not be opened anew: {problem}") from problem
        if reading is not None:
            self._acknowledge(reading)


def refusal(answer: Accepted | Rejected | State) -> str:
    """Why a command was not accepted, as a sentence part."""
    if isinstance(answer, Rejected):
        return f"the edge refused ({answer.code}): {answer.reason}"
    return f"the edge answered {answer.type} to a command that asks for another answer; report this as a defect of the edge."
