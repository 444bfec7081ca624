"""SEMI E142 maps (schema E142.1): one XML file, one map for each wafer.

Attributes are placed as in public examples; what the bought standard says may differ.
"""

from pathlib import Path
from typing import Literal, TypeVar

from lxml import etree
from msgspec.structs import replace

from station.datalog.maps import sheet
from station.datalog.maps.axes import NOTCHES, Axes, Place, View
from station.datalog.maps.codes import bin_type, coding
from station.datalog.maps.wafer import WaferMap
from station.errors import MapError

NAMESPACE = "urn:semi-org:xsd.E142-1.V1005.SubstrateMap"
ORIGINS: dict[str, Literal["upper left", "upper right", "lower left", "lower right", "center"]] = {
    "UpperLeft": "upper left",
    "UpperRight": "upper right",
    "LowerLeft": "lower left",
    "LowerRight": "lower right",
    "Center": "center",
}
DIRECTIONS = {
    "DownRight": (True, True),
    "DownLeft": (False, True),
    "UpRight": (True, False),
    "UpLeft": (False, False),
}
"""AxisDirection to whether X grows to the right and Y downwards."""
ANGLES = {str(90 * turn): notch for turn, notch in enumerate(NOTCHES)}
"""Orientation to where the notch is."""
MOST_MM = 1000.0

T = TypeVar("T")


def write(
    found: WaferMap,
    path: Path,
    *,
    view: View | None = None,
    axes: Axes | None = None,
    order: sheet.RowOrder = "seen",
    kind: str = "HexaDecimal",
) -> None:
    """Write one wafer. As it stands, rows and coordinates both begin at the upper left: no reader can err."""
    view, axes = view or View(), axes or Axes()
    codes = coding(found, kind)
    root = etree.Element(etree.QName(NAMESPACE, "MapData"), nsmap={None: NAMESPACE})
    _layouts(root, found, view)
    substrate = _below(
        _below(root, "Substrates"), "Substrate", SubstrateType="Wafer", SubstrateId=found.wafer
    )
    _below(substrate, "LotId").text = found.lot
    _below(substrate, "GoodDevices").text = str(found.good)
    map_ = _below(
        _below(root, "SubstrateMaps"),
        "SubstrateMap",
        SubstrateType="Wafer",
        SubstrateId=found.wafer,
        LayoutSpecifier="Wafer/Die",
        SubstrateSide="BottomSide" if view.bottom else "TopSide",
        Orientation=_key(ANGLES, view.notch),
        OriginLocation=_key(ORIGINS, axes.origin),
        AxisDirection=_key(DIRECTIONS, (axes.right, axes.down)),
    )
    overlay = _below(map_, "Overlay", MapName="SortGrade", MapVersion="1")
    if found.references:
        devices = _below(overlay, "ReferenceDevices")
        for place in found.references:
            x, y = sheet.coordinates(place, found, view, axes)
            _below(_below(devices, "ReferenceDevice"), "Coordinates", X=str(x), Y=str(y))
    body = _below(overlay, "BinCodeMap", BinType=codes.kind.name, NullBin=codes.kind.null)
    table = _below(body, "BinDefinitions")
    for line in codes.table(found):
        pick = {"Pick": "true"} if line.quality == "Pass" else {}
        said = {"BinCode": line.code, "BinCount": str(line.count), "BinQuality": line.quality}
        _below(table, "BinDefinition", **said, BinDescription=line.name, **pick)
    for row in sheet.written(found, view, axes, order, codes):
        _below(body, "BinCode").text = row
    path.write_bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def read(path: Path, *, order: sheet.RowOrder = "seen", base: int = 0) -> list[WaferMap]:
    """Return the wafers of a file, upright; `order` and `base` of coordinates are what the customer means."""
    root = sheet.parsed(path)
    maps = sheet.named(root, "SubstrateMap")
    if not maps:
        raise MapError(f"{path}: it has no SubstrateMap: it is no E142 map")
    lots = {sheet.said(one, "SubstrateId"): one for one in sheet.named(root, "Substrate")}
    facts = _Facts(root, path)
    return [_wafer(one, lots.get(sheet.said(one, "SubstrateId")), facts, path, order, base) for one in maps]


def _wafer(
    map_: etree._Element,
    substrate: etree._Element | None,
    facts: "_Facts",
    path: Path,
    order: sheet.RowOrder,
    base: int,
) -> WaferMap:
    wafer = sheet.said(map_, "SubstrateId")
    where = f"{path}: wafer {wafer or '?'}"
    side = _one_of(map_, "SubstrateSide", {"TopSide": False, "BottomSide": True}, "TopSide", where)
    view = View(_one_of(map_, "Orientation", ANGLES, "0", where), bottom=side)
    right, down = _one_of(map_, "AxisDirection", DIRECTIONS, "UpRight", where)
    axes = Axes(right, down, _one_of(map_, "OriginLocation", ORIGINS, "LowerLeft", where), base)
    bodies = sheet.named(map_, "BinCodeMap")
    if not bodies:
        raise MapError(f"{where}: it has no BinCodeMap")
    body = bodies[0]
    references = [
        _place(one, where)
        for device in sheet.named(map_, "ReferenceDevice")
        for one in sheet.named(device, "Coordinates")
    ]
    lines = sheet.definitions(sheet.named(body, "BinDefinition"), where)
    table = sheet.Table(wafer, sheet.said(body, "NullBin"), lines, references, where)
    kind = bin_type(sheet.said(body, "BinType") or "Ascii")
    rows = [one.text or "" for one in sheet.named(body, "BinCode")]
    found = sheet.read(rows, view, axes, order, kind, table)
    lot = "" if substrate is None else "".join(one.text or "" for one in sheet.named(substrate, "LotId"))
    return replace(found, lot=lot.strip(), **facts.of(view))


class _Facts:
    """Product, wafer and die size, where the layouts tell them."""

    def __init__(self, root: etree._Element, path: Path) -> None:
        self._product, self._wafer, self._die = "", 0.0, (0.0, 0.0)
        for layout in sheet.named(root, "Layout"):
            sizes = [one for one in layout if etree.QName(one).localname == "DeviceSize"]
            products = [one.text or "" for one in layout if etree.QName(one).localname == "ProductId"]
            self._product = "".join(products).strip() or self._product
            if sizes and sheet.said(layout, "TopLevel") == "true":
                self._wafer = _millimetres(sizes[0], "X", path)
            elif sizes:
                self._die = (_millimetres(sizes[0], "X", path), _millimetres(sizes[0], "Y", path))

    def of(self, view: View) -> dict[str, object]:
        """Return them as fields of an upright map."""
        die = self._die if view.notch in {"D", "U"} else (self._die[1], self._die[0])
        return {"product": self._product, "wafer_mm": self._wafer, "die_mm": die}


def _layouts(root: etree._Element, found: WaferMap, view: View) -> None:
    layouts = _below(root, "Layouts")
    wafer = _below(layouts, "Layout", LayoutId="Wafer", DefaultUnits="mm", TopLevel="true")
    _below(wafer, "Dimension", X="1", Y="1")
    _below(wafer, "DeviceSize", X=f"{found.wafer_mm:g}", Y=f"{found.wafer_mm:g}")
    _below(_below(wafer, "ChildLayouts"), "ChildLayout", LayoutId="Die")
    width, height = view.size(found.size)
    die = found.die_mm if view.notch in {"D", "U"} else (found.die_mm[1], found.die_mm[0])
    layout = _below(layouts, "Layout", LayoutId="Die", DefaultUnits="mm")
    _below(layout, "Dimension", X=str(width), Y=str(height))
    _below(layout, "DeviceSize", X=f"{die[0]:g}", Y=f"{die[1]:g}")
    _below(layout, "ProductId").text = found.product


def _millimetres(size: etree._Element, name: str, path: Path) -> float:
    text = sheet.said(size, name)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_MM:
        raise MapError(f"{path}: DeviceSize {name} is {text!r}, 0 to {MOST_MM:g} mm are allowed")
    return value


def _place(element: etree._Element, where: str) -> Place:
    return sheet.number_of(element, "X", where), sheet.number_of(element, "Y", where)


def _below(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, etree.QName(NAMESPACE, name), attributes)


def _key(table: dict[str, T], value: T) -> str:
    return next(key for key, one in table.items() if one == value)


def _one_of(element: etree._Element, name: str, table: dict[str, T], default: str, where: str) -> T:
    text = sheet.said(element, name) or default
    if text not in table:
        raise MapError(f"{where}: {name} is {text!r}, {', '.join(table)} are allowed")
    return table[text]
