"""The equipment itself: what the cable does to bytes and the relay to messages is what they were asked for."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import zmq
from support.duplicating_relay import DuplicatingRelay
from support.fault_proxy import FaultProxy

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def cable() -> Iterator[tuple[FaultProxy, socket.socket, socket.socket]]:
    """A cable with both of its ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with FaultProxy(listener.getsockname()[:2], seed=1) as proxy:
            port = int(proxy.endpoint.rsplit(":", 1)[1])
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                edge, _ = listener.accept()
                with edge:
                    edge.settimeout(5)
                    yield proxy, client, edge
        assert "fault-proxy" not in [thread.name for thread in threading.enumerate()]


def received(end: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n and (more := end.recv(n - len(data))):
        data += more
    return data


Ask = Callable[[FaultProxy], object]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda cable: None, id="clear"),
        pytest.param(lambda cable: cable.impair(latency_s=0.01, jitter_s=0.05), id="late, and each chunk by another time"),
        pytest.param(lambda cable: cable.impair(up_bytes_per_s=400_000.0, down_bytes_per_s=400_000.0), id="slow"),
    ],
)
def test_every_byte_arrives_and_in_order(cable: tuple[FaultProxy, socket.socket, socket.socket], ask: Ask) -> None:
    proxy, client, edge = cable
    ask(proxy)
    sent = bytes(range(256)) * 400
    for source, sink in ((client, edge), (edge, client)):
        writer = threading.Thread(target=source.sendall, args=(sent,))
        writer.start()
        assert received(sink, len(sent)) == sent
        writer.join()


def test_a_half_open_connection_takes_and_gives_nothing_one_way_and_later_everything(
    cable: tuple[FaultProxy, socket.socket, socket.socket],
) -> None:
    proxy, client, edge = cable
    proxy.impair(up_stopped=True)
    client.sendall(b"nobody hears this")
    edge.sendall(b"the other way")
    assert received(client, 13) == b"the other way"
    edge.settimeout(0.1)
    with pytest.raises(TimeoutError):
        edge.recv(1)
    edge.settimeout(5)
    proxy.clear()
    assert received(edge, 17) == b"nobody hears this"


def test_a_slow_reader_is_felt_by_the_sender(cable: tuple[FaultProxy, socket.socket, socket.socket]) -> None:
    proxy, client, edge = cable
    proxy.impair(down_bytes_per_s=1000.0)
    edge.settimeout(0.3)
    with pytest.raises(TimeoutError):
        edge.sendall(bytes(64 * 2**20))
    assert received(client, 50) == bytes(50)


def test_a_cut_ends_both_sides_in_order_or_by_a_reset(cable: tuple[FaultProxy, socket.socket, socket.socket]) -> None:
    proxy, client, edge = cable
    client.sendall(b"x")
    assert edge.recv(1) == b"x"
    assert proxy.cut() == 1
    assert (client.recv(1), edge.recv(1)) == (b"", b"")


def test_a_reset_is_an_error_on_both_sides(cable: tuple[FaultProxy, socket.socket, socket.socket]) -> None:
    proxy, client, edge = cable
    client.sendall(b"x")
    assert edge.recv(1) == b"x"
    assert proxy.cut(reset=True) == 1
    for end in (client, edge):
        with pytest.raises(ConnectionResetError):
            end.recv(1)


def test_an_edge_that_ends_its_connection_ends_the_client_s(cable: tuple[FaultProxy, socket.socket, socket.socket]) -> None:
    _, client, edge = cable
    edge.sendall(b"last words")
    edge.shutdown(socket.SHUT_WR)
    assert received(client, 10) == b"last words"
    assert client.recv(1) == b""


def test_the_relay_sends_every_message_twice_both_ways_when_it_is_asked_to() -> None:
    context = zmq.Context()
    edge, client = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    for end in (edge, client):
        end.linger, end.rcvtimeo = 0, 5000
    port = edge.bind_to_random_port("tcp://127.0.0.1")
    try:
        with DuplicatingRelay(f"tcp://127.0.0.1:{port}", share=1.0, seed=3) as relay:
            client.connect(f"tcp://127.0.0.1:{relay.address[1]}")
            for number in range(8):
                client.send(b'{"type":"ACK","n":%d}' % number)
            up = [edge.recv_multipart() for _ in range(16)]
            numbers = [int(message[1][-2:-1]) for message in up]
            assert sorted(numbers) == sorted([*range(8)] * 2)
            assert [n for at, n in enumerate(numbers) if n not in numbers[:at]] == list(range(8)), (
                "the first copies keep their order"
            )
            for _ in range(2):
                edge.send_multipart([up[0][0], b'{"type":"field","run_id":"r","seq":1}'])
            assert [client.recv() for _ in range(4)] == [b'{"type":"field","run_id":"r","seq":1}'] * 4
        assert (relay.duplicated, relay.resent) == ({"ACK": 8, "field": 2}, 1)
    finally:
        context.destroy(linger=0)
