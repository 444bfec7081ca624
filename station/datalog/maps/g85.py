"""SEMI G85 maps: one XML file, one or several wafers. Dies in micrometres, wafers in millimetres."""

from datetime import UTC, datetime
from pathlib import Path

from lxml import etree
from msgspec.structs import replace

from station.datalog.maps import sheet
from station.datalog.maps.axes import NOTCHES, Axes, View
from station.datalog.maps.codes import bin_type, coding
from station.datalog.maps.wafer import WaferMap
from station.errors import MapError

NAMESPACE = "http://www.semi.org"
REVISION = "SEMI G85-0703"
ANGLES = {str(90 * turn): notch for turn, notch in enumerate(NOTCHES)}
ORIGINS = {
    "0": Axes(True, True, "center"),
    "1": Axes(False, True, "upper right"),
    "2": Axes(True, True, "upper left"),
    "3": Axes(True, False, "lower left"),
    "4": Axes(False, False, "lower right"),
}
"""OriginLocation, as ORLOC of SECS: where coordinates begin, and so where they grow."""
UPPER_LEFT = "2"
SIDES = {"TopSide": False, "BottomSide": True}


def write(
    found: WaferMap,
    path: Path,
    *,
    created: float,
    view: View | None = None,
    origin: str = UPPER_LEFT,
    order: sheet.RowOrder = "seen",
    kind: str = "Ascii",
) -> None:
    """Write one wafer; `created` is unix time, `origin` is OriginLocation, 0 to 4."""
    view, codes = view or View(), coding(found, kind)
    axes = ORIGINS[origin]
    width, height = view.size(found.size)
    die = found.die_mm if view.notch in {"D", "U"} else (found.die_mm[1], found.die_mm[0])
    root = etree.Element("Maps")
    map_ = etree.SubElement(root, etree.QName(NAMESPACE, "Map"), _wafer(found), nsmap={None: NAMESPACE})
    device = _below(
        map_,
        "Device",
        BinType=codes.kind.name,
        NullBin=codes.kind.null,
        ProductId=found.product,
        LotId=found.lot,
        WaferSize=f"{found.wafer_mm:g}",
        CreateDate=_date(created),
        DeviceSizeX=f"{1000 * die[0]:g}",
        DeviceSizeY=f"{1000 * die[1]:g}",
        Rows=str(height),
        Columns=str(width),
        Orientation=next(angle for angle, notch in ANGLES.items() if notch == view.notch),
        OriginLocation=origin,
        MapType="Array",
        **({"SubstrateSide": "BottomSide"} if view.bottom else {}),
    )
    for place in found.references:
        x, y = sheet.coordinates(place, found, view, axes)
        _below(device, "ReferenceDevice", ReferenceDeviceX=str(x), ReferenceDeviceY=str(y))
    for line in codes.table(found):
        said = {"BinCode": line.code, "BinQuality": line.quality, "BinCount": str(line.count)}
        _below(device, "Bin", **said, BinDescription=line.name)
    data = _below(device, "Data", MapName="SORT", MapVersion="1")
    for row in sheet.written(found, view, axes, order, codes):
        _below(data, "Row").text = etree.CDATA(row)
    path.write_bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def read(path: Path, *, order: sheet.RowOrder = "seen", base: int = 0) -> list[WaferMap]:
    """Return the wafers of a file, upright; `order` and `base` of coordinates are what the customer means."""
    maps = sheet.named(sheet.parsed(path), "Map")
    if not maps:
        raise MapError(f"{path}: it has no Map: it is no G85 map")
    return [_read(one, path, order, base) for one in maps]


def _read(map_: etree._Element, path: Path, order: sheet.RowOrder, base: int) -> WaferMap:
    wafer = sheet.said(map_, "SubstrateId", "WaferId")
    where = f"{path}: wafer {wafer or '?'}"
    devices = sheet.named(map_, "Device")
    if not devices:
        raise MapError(f"{where}: it has no Device")
    device = devices[0]
    angle, origin = (
        sheet.said(device, "Orientation") or "0",
        sheet.said(device, "OriginLocation") or UPPER_LEFT,
    )
    side = sheet.said(device, "SubstrateSide") or "TopSide"
    for name, text, allowed in (
        ("Orientation", angle, ANGLES),
        ("OriginLocation", origin, ORIGINS),
        ("SubstrateSide", side, SIDES),
    ):
        if text not in allowed:
            raise MapError(f"{where}: {name} is {text!r}, {', '.join(allowed)} are allowed")
    view, axes = View(ANGLES[angle], bottom=SIDES[side]), replace(ORIGINS[origin], base=base)
    references = [
        (sheet.number_of(one, "ReferenceDeviceX", where), sheet.number_of(one, "ReferenceDeviceY", where))
        for one in sheet.named(device, "ReferenceDevice")
    ]
    lines = sheet.definitions(sheet.named(device, "Bin"), where)
    table = sheet.Table(wafer, sheet.said(device, "NullBin"), lines, references, where)
    rows = [one.text or "" for one in sheet.named(device, "Row")]
    found = sheet.read(rows, view, axes, order, bin_type(sheet.said(device, "BinType") or "Ascii"), table)
    _sized(device, found, view, where)
    return replace(found, **_facts(device, view, where))


def _date(created: float) -> str:
    """Return a moment as yyyymmddhhmmssmmm."""
    moment = datetime.fromtimestamp(created, UTC)
    return moment.strftime("%Y%m%d%H%M%S") + f"{moment.microsecond // 1000:03}"


def _sized(device: etree._Element, found: WaferMap, view: View, where: str) -> None:
    """Rows and Columns, where they are said, are those of the rows."""
    width, height = view.size(found.size)
    for name, is_ in (("Rows", height), ("Columns", width)):
        if sheet.said(device, name) and sheet.number_of(device, name, where) != is_:
            raise MapError(f"{where}: {name} is {sheet.said(device, name)}, the map has {is_}")


def _facts(device: etree._Element, view: View, where: str) -> dict[str, object]:
    width, height = (_size(device, name, where) / 1000 for name in ("DeviceSizeX", "DeviceSizeY"))
    return {
        "lot": sheet.said(device, "LotId"),
        "product": sheet.said(device, "ProductId"),
        "wafer_mm": _size(device, "WaferSize", where),
        "die_mm": (width, height) if view.notch in {"D", "U"} else (height, width),
    }


def _size(device: etree._Element, name: str, where: str) -> float:
    text = sheet.said(device, name) or "0"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise MapError(f"{where}: {name} is {text!r}, a size is needed")
    return value


def _wafer(found: WaferMap) -> dict[str, str]:
    return {"SubstrateType": "Wafer", "SubstrateId": found.wafer, "FormatRevision": REVISION}


def _below(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, etree.QName(NAMESPACE, name), attributes)
