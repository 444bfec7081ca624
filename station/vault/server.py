"""The floor service on a Unix socket: methods by name, limits, and workers for what computes."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import grpc

from station.vault.evidence.exporter import Exporter
from station.vault.service import Floor
from station.vault.wire import floor_pb2 as wire

P = ParamSpec("P")
T = TypeVar("T")

SERVICE = "hardbin.vault.v1.Floor"
MESSAGE_MAX = 1 << 20
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_MAX),
    ("grpc.max_send_message_length", MESSAGE_MAX),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class Workers:
    """Computing beside the loop: signing and verifying release the GIL."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Begin at once; the function's result comes when it is awaited."""
        job = partial(function, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(self._pool, job)


def serving(floor: Floor, exporter: Exporter, socket: Path) -> grpc.aio.Server:
    """A server for the socket, not yet started."""
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    streamed = grpc.unary_stream_rpc_method_handler
    handlers = {
        "Hello": unary(floor.hello, wire.HelloRequest.FromString, wire.HelloReply.SerializeToString),
        "OpenLot": unary(floor.open_lot, wire.OpenLotRequest.FromString, wire.LotReply.SerializeToString),
        "CloseLot": unary(floor.close_lot, wire.CloseLotRequest.FromString, wire.LotReply.SerializeToString),
        "AskUnit": unary(floor.ask_unit, wire.UnitRequest.FromString, wire.UnitReply.SerializeToString),
        "Record": unary(floor.record, wire.RecordRequest.FromString, wire.RecordReply.SerializeToString),
        "Watch": streamed(floor.watch, wire.WatchRequest.FromString, wire.Notice.SerializeToString),
        "Export": grpc.unary_stream_rpc_method_handler(
            exporter.serve, wire.ExportRequest.FromString, wire.ExportPart.SerializeToString
        ),
        "Serve": stream(floor.serve, wire.FromStation.FromString, wire.FromVault.SerializeToString),
    }
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"unix:{socket.absolute()}")
    return server
