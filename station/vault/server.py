"""The floor service on a Unix socket: methods by name, and limits."""

from pathlib import Path

import grpc

from station.vault.evidence.exporter import Exporter
from station.vault.service import Floor
from station.vault.wire import floor_pb2 as wire

SERVICE = "hardbin.vault.v1.Floor"
MESSAGE_MAX = 1 << 20
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_MAX),
    ("grpc.max_send_message_length", MESSAGE_MAX),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


def serving(floor: Floor, exporter: Exporter, socket: Path) -> grpc.aio.Server:
    """A server for the socket, not yet started."""
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    streamed = grpc.unary_stream_rpc_method_handler
    handlers = {
        "Hello": unary(floor.hello, wire.HelloRequest.FromString, wire.HelloReply.SerializeToString),
        "OpenLot": unary(floor.open_lot, wire.OpenLotRequest.FromString, wire.LotReply.SerializeToString),
        "CloseLot": unary(floor.close_lot, wire.CloseLotRequest.FromString, wire.LotReply.SerializeToString),
        "ReleaseKeys": unary(
            floor.release_keys, wire.ReleaseRequest.FromString, wire.LotReply.SerializeToString
        ),
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
