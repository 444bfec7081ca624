"""What is known of the devices of a lot before it begins: as it was ordered, or as the station file says."""

from pathlib import Path

from station import past
from station.config import StationConfig
from station.errors import ConfigError
from station.lot_order import LotOrder
from station.past_stores import PLANT

LOT = "{lot}"
"""Stands for the name of a lot in a station file."""


def past_of_lot(order: LotOrder, config: StationConfig) -> past.PastResults:
    """Read it; ConfigError for what cannot be read, or has nothing of these devices."""
    if order.began is not None:
        return past.read_again(order.began)
    if order.study is not None and _of_each_lot(config):
        return past.PastResults()  # a study is no lot of which anything is known
    stores, traced = named(config, order.lot if order.second is None else order.second.lot)
    stores, traced = order.earlier or stores, order.traced or traced
    if traced is not None and not stores:
        raise ConfigError(
            "a list of packages leads to earlier results: it needs --earlier, or earlier in [cell]"
        )
    return past.read(stores, config.cell.product, config.cell.insertion, traced)


def named(config: StationConfig, lot: str) -> tuple[tuple[str, ...], Path | None]:
    """Return the stores and the list of packages that a station file has for a lot, as named from here."""
    folder, cell = config.source.parent, config.cell
    stores = (text.replace(LOT, lot) for text in cell.earlier)
    traced = folder / cell.traced.replace(LOT, lot) if cell.traced else None
    return tuple(text if text.startswith(PLANT) else str(folder / text) for text in stores), traced


def _of_each_lot(config: StationConfig) -> bool:
    return any(LOT in text for text in (*config.cell.earlier, config.cell.traced))
