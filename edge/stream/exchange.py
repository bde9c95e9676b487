"""What the edge does with each message: sessions, lease, commands, credit. No socket and no thread in here."""

import logging
from typing import get_args

from edge.contracts.base import Wire
from edge.contracts.errors import StreamError
from edge.contracts.messages import (
    PROTOCOL_VERSION,
    AbortCommand,
    Accepted,
    Ack,
    ContinueCommand,
    Credit,
    Encoding,
    Hello,
    PauseCommand,
    Ping,
    Pong,
    Query,
    Reject,
    RejectCode,
    Rejected,
    RunCommand,
    RunStartCommand,
    RunStopCommand,
    State,
    ToEdge,
    TriggerCommand,
    Welcome,
)
from edge.contracts.version import VERSION
from edge.journal.base import Journal
from edge.pipeline.run_control import RunControl
from edge.stream.attempts import Attempts
from edge.stream.codec import MessageError, decode_to_edge, encode, other_version
from edge.stream.inquiries import Inquiries
from edge.stream.positions import Positions
from edge.stream.refusals import Refused, named_by
from edge.stream.run_overview import RunOverview
from edge.stream.sessions import Cursor, Lease, MessageBudget, Post, Session
from edge.stream.settings import StreamSettings

_log = logging.getLogger(__name__)
GONE = -1
"""A connection that is closed: whose it was cannot be told any more."""
ENCODINGS: dict[str, Encoding] = {"json": "json", "msgpack": "msgpack"}


class Exchange:
    """The protocol's edge side. `sessions` is keyed by ROUTER identity; times are monotonic nanoseconds."""

    def __init__(
        self,
        journal: Journal,
        control: RunControl,
        boot_id: str,
        settings: StreamSettings,
        post: Post,
        inquiries: Inquiries,
    ) -> None:
        self.sessions: dict[bytes, Session] = {}
        self.rejects: dict[str, int] = dict.fromkeys(get_args(RejectCode), 0)
        """REJECTs so far, by code; every code is there from the start, so that another thread may look at any time"""
        self.ending = False
        """the process has done its run: once a controller holds all of it there is nothing for a new session"""
        self._runs = RunOverview(journal, control)
        self._positions = Positions(journal, self._runs)
        self._inquiries = inquiries
        self._journal = journal
        self._control = control
        self._boot_id = boot_id
        self._settings = settings
        self._post = post
        self._lease = Lease()
        self._attempts = Attempts(int(2e9 * settings.silent_after_s))
        self._strangers = MessageBudget(settings.strangers_per_s, 0)

    def receive(self, identity: bytes, connection: int, parts: list[bytes], now_ns: int) -> None:
        """Act on one message. Whatever is wrong with it is answered by REJECT and harms nothing else."""
        if connection == GONE:
            return  # nobody is there to be answered, and whoever sent it says it again over the next connection
        session = self.sessions.get(identity)
        if session is not None and session.connection != connection:
            self._displace(session, now_ns)
            session = None
        if session is not None:
            session.heard_ns = now_ns
        budget = session.budget if session else self._strangers
        if not budget.take(now_ns):
            self.rejects["rate"] += 1
            if budget.may_tell(now_ns):
                reason = f"more than {budget.per_s:g} messages a second came; those above it were dropped: repeat them slower."
                self._send_reject(identity, Reject(code="rate", reason=reason, **named_by(parts)))
            return
        try:
            if len(parts) != 1:
                raise Refused("malformed", f"a message of {len(parts)} parts came; every message is one part.")
            message = decode_to_edge(parts[0])
            if isinstance(message, Hello):
                if session is not None and session.client_id != message.client_id:
                    self._displace(session, now_ns)
                self._open(identity, connection, message, now_ns)
            elif session is None:
                raise Refused("state", f"{message.type} came without a session; say HELLO first.")
            else:
                self._serve(session, message, now_ns)
        except MessageError as problem:
            self.refuse(identity, Reject(code=problem.reject, reason=str(problem), **named_by(parts)))
        except Refused as refusal:
            said = {"code": refusal.code, "reason": refusal.reason, **named_by(parts), **refusal.named}
            self.refuse(identity, Reject.model_validate(said))

    def tick(self, now_ns: int) -> None:
        """Give the controller answers and credit that became due, and every session its PING; drop those that were silent for
        too long or leave their answers unread."""
        self._answer_controller()
        self._answer_inquiries()
        self._attempts.heard(self._lease.holder.client_id if self._lease.holder else None, now_ns)
        self._lease.expire(now_ns, int(2e9 * self._settings.silent_after_s))
        silent_ns, every_ns = self._settings.silent_after_s * 1e9, self._settings.ping_every_s * 1e9
        for session in list(self.sessions.values()):
            if now_ns - session.heard_ns > silent_ns or len(session.answers) > self._settings.max_waiting_answers:
                self.drop(session)
            elif now_ns - session.pinged_ns >= every_ns:
                session.pinged_ns = now_ns
                session.answer(Ping(nonce=now_ns, t_ns=now_ns))

    def _answer_controller(self) -> None:
        answers, holder = self._control.answers(), self._lease.holder
        if holder is None or holder.displaced_ns is not None:
            return  # it comes back, repeats its commands and finds them done
        if (run_id := self._control.state().run_id) != holder.credited_run_id:
            holder.credited_run_id, holder.trigger_until = run_id, 0
        for answer in answers:
            holder.answer(answer)
            if isinstance(answer, Accepted):
                holder.trigger_until = max(holder.trigger_until, answer.trigger_until or 0)
        until = self._control.trigger_until()
        if until is None or until <= holder.trigger_until:
            return
        if run_id is not None:
            holder.trigger_until = until
            holder.answer(Credit(run_id=run_id, trigger_until=until))

    def drop(self, session: Session) -> None:
        """The client is gone: its session and lease end, its run goes on and its records wait in the journal."""
        if self.sessions.get(session.identity) is session:
            del self.sessions[session.identity]
        self._lease.release(session)

    def _displace(self, session: Session, now_ns: int) -> None:
        """Another connection has the session's identity, and ZeroMQ has closed the session's own.

        Nothing from or to that identity is this client's any more. It finds that out by the silence, says HELLO again, and
        until then keeps the lease if it had it.
        """
        _log.info("another connection has taken the ZeroMQ routing id of client %r", session.client_id)
        del self.sessions[session.identity]
        session.displaced_ns = now_ns

    def forget(self, identity: bytes) -> None:
        """Serve this client no longer."""
        if session := self.sessions.get(identity):
            self.drop(session)

    def settled(self) -> bool:
        """Whether a controller holds every record, and everybody else was sent what they read: closing now loses nothing."""
        return self._runs.acknowledged() and not any(self._owed(session) for session in self.sessions.values())

    def progress(self) -> int:
        """Grows with every record that a controller has acknowledged."""
        return self._runs.total_acknowledged()

    def _owed(self, session: Session) -> bool:
        behind = any(cursor.next_seq < self._journal.next_seq(run_id) for run_id, cursor in session.cursors.items())
        return behind or bool(session.answers)

    def refuse(self, identity: bytes, refusal: Reject) -> None:
        """Send a REJECT, and count it."""
        self.rejects[refusal.code] += 1
        self._send_reject(identity, refusal)

    def _send_reject(self, identity: bytes, refusal: Reject) -> None:
        session = self.sessions.get(identity)
        if session is not None:
            session.answer(refusal)
        else:  # a stranger that does not read its refusals has no claim to a queue
            self._post(identity, encode(refusal, "json"))

    def _open(self, identity: bytes, connection: int, hello: Hello, now_ns: int) -> None:
        if hello.proto != PROTOCOL_VERSION:
            raise Refused("protocol", other_version(hello.proto))
        encoding = next((ENCODINGS[name] for name in hello.encodings if name in ENCODINGS), None)
        if encoding is None:
            raise Refused(
                "encoding",
                f"this edge can encode {', '.join(ENCODINGS)}, the client offered {list(hello.encodings)[:8]}; offer json.",
            )
        if (ending := self._ending()) is not None:
            raise Refused("ending", ending.reason, run_id=ending.run_id, upto_seq=ending.upto_seq)
        if hello.role == "controller":
            self._check_attempt(hello, now_ns)
            self._check_lease(hello.client_id, now_ns)
        elif len(self.sessions) >= self._settings.max_sessions:
            raise Refused("busy", f"this edge serves {len(self.sessions)} clients, no more; close one of the observers.")
        budget = MessageBudget(self._settings.messages_per_s, now_ns)
        session = Session(identity, connection, hello.client_id, hello.role, encoding, now_ns, now_ns, budget)
        if hello.resume is not None:
            self._positions.check_resume(hello.resume)
            session.cursors[hello.resume.run_id] = Cursor(hello.resume.run_id, hello.resume.next_seq)
        if identity in self.sessions:
            self.drop(self.sessions[identity])
        if hello.role == "controller":
            self._attempts.take(hello.client_id, hello.attempt, now_ns)
            superseded = self._lease.take(session)
            if superseded is not None:
                self.drop(superseded)
                if superseded.displaced_ns is None:
                    reason = f"client {hello.client_id!r} opened a newer session; this one is closed."
                    self.refuse(superseded.identity, Reject(code="superseded", reason=reason))
        self.sessions[identity] = session
        service = self._control.state().service
        welcome = Welcome(
            encoding=encoding,
            boot_id=self._boot_id,
            server_version=VERSION,
            role=hello.role,
            runs=self._runs.infos(),
            runs_held=self._runs.held(),
            edge=self._inquiries.report.info,
            service_state=service.state,
            service_reason=service.reason,
        )
        session.answer(welcome)

    def _check_attempt(self, hello: Hello, now_ns: int) -> None:
        newer = self._attempts.newer_than(hello.client_id, hello.attempt, now_ns)
        if newer is not None:
            raise Refused(
                "superseded",
                f"client {hello.client_id!r} has said a newer HELLO (attempt {newer}) than this one ({hello.attempt}): close "
                "this connection; if it is the newest one all the same, say HELLO with a greater attempt.",
            )

    def _ending(self) -> Reject | None:
        """What to say when nothing is left to be served; None while records wait for a controller."""
        if not (self.ending and self._runs.acknowledged()):
            return None
        run_id = self._control.state().run_id
        if run_id is not None and not self._journal.finished(run_id):
            return None
        if run_id is None:
            return Reject(
                code="ending", reason="this edge process is ending and takes no run; wait until an edge answers again."
            )
        reason = f"this edge process is ending: a controller holds all of its run {run_id}. Wait until an edge answers again."
        return Reject(code="ending", reason=reason, run_id=run_id, upto_seq=self._journal.acknowledged(run_id))

    def say_goodbye(self) -> None:
        """Nothing more will be served. Where that is so because all is acknowledged, every session is told; else a silence says
        that there is something to come back for."""
        ending = self._ending()
        if ending is not None:
            for session in self.sessions.values():
                session.answer(ending)

    def _check_lease(self, client_id: str, now_ns: int) -> None:
        holder = self._lease.holder
        if holder is not None and holder.client_id != client_id and holder.displaced_ns is None:
            # ROUTER_MANDATORY tells at once whether the holder has closed its connection; nobody waits for its silence.
            probe = encode(Ping(nonce=now_ns, t_ns=now_ns), holder.encoding)
            if self._post(holder.identity, probe) == "gone":
                self.drop(holder)
        reason = self._lease.refusal(client_id)
        if reason is not None:
            raise Refused("busy", reason)

    def _serve(self, session: Session, message: ToEdge, now_ns: int) -> None:
        match message:
            case Ack():
                self._acknowledge(session, message)
            case Ping():
                session.answer(self._pong(message, now_ns))
            case Query():
                self._query(session, message)
            case Pong() | Hello():
                pass  # a PONG has done its work by being heard; HELLO was served before
            case _:
                answer = self._command(session, message)
                if answer is not None:  # else it comes with the control's answers
                    session.answer(answer)

    def _command(self, session: Session, command: RunCommand) -> Wire | None:
        if session.role != "controller":
            return Rejected(
                cmd_id=command.cmd_id, code="state", reason=f"an observer may only read; {command.type} is for the controller."
            )
        try:
            return self._order(command)
        except StreamError as problem:  # the journal that knows what was done before cannot be read
            return Rejected(cmd_id=command.cmd_id, code="state", reason=str(problem))

    def _order(self, command: RunCommand) -> Accepted | Rejected | None:
        match command:
            case RunStartCommand():
                self._answer_controller()  # of the run before, while its answers can still be had
                return self._control.start(command)
            case TriggerCommand():
                return self._control.trigger(command)
            case RunStopCommand():
                return self._control.stop(command)
            case PauseCommand() | ContinueCommand():
                return self._control.pause(command)
            case AbortCommand():
                return self._control.abort(command)

    def _query(self, session: Session, query: Query) -> None:
        if unknown := self._inquiries.unsupported(query):
            reason = f"this edge has no answer to {', '.join(unknown)}; WELCOME lists what it has in `capabilities`."
            session.answer(Rejected(cmd_id=query.cmd_id, code="unsupported", reason=reason))
        elif not query.ask:
            session.answer(self._runs.answer(query))
        elif not self._inquiries.ask(session.identity, query):
            reason = "other clients have asked and wait for their answers; ask again later."
            session.answer(Rejected(cmd_id=query.cmd_id, code="busy", reason=reason))

    def _answer_inquiries(self) -> None:
        for told in self._inquiries.told():
            session = self.sessions.get(told.identity)
            if session is None:
                continue  # whoever has its place now ignores what it has not asked
            answer = self._runs.answer(told.query)
            if told.problem:
                answer = Rejected(cmd_id=told.query.cmd_id, code="state", reason=f"it could not be found out: {told.problem}.")
            elif isinstance(answer, State):
                answer = answer.model_copy(update={"health": told.health, "doctor": told.doctor})
            session.answer(answer)

    def _acknowledge(self, session: Session, ack: Ack) -> None:
        self._positions.check_ack(ack.run_id, ack.upto_seq + 1)
        if session.role == "controller" and ack.upto_seq > self._journal.acknowledged(ack.run_id):
            try:
                self._journal.acknowledge(ack.run_id, ack.upto_seq)
            except ValueError:
                raise Refused(
                    "state",
                    f"record {ack.upto_seq} of run {ack.run_id!r} was not sent yet, and the client claims to hold it; "
                    "acknowledge what was really received.",
                ) from None
            self._control.waiting(ack.run_id, self._journal.next_seq(ack.run_id) - 1 - ack.upto_seq)
        cursor = session.cursors.setdefault(ack.run_id, Cursor(ack.run_id, ack.upto_seq + 1))
        cursor.grant(ack.upto_seq, ack.send_until_seq)

    def _pong(self, ping: Ping, now_ns: int) -> Pong:
        last_seq, lag = self._runs.last_seq_and_lag()
        state = self._control.state()
        return Pong(
            nonce=ping.nonce,
            t_ns=now_ns,
            boot_id=self._boot_id,
            state=state.phase,
            last_seq=last_seq,
            lag=lag,
            service_state=state.service.state,
            service_reason=state.service.reason,
        )
