"""Wafer maps there and back in every orientation, where a mark lands, and what is refused."""

import re
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from station.analysis.wafers import compared, stacked
from station.datalog.maps import e142, g85
from station.datalog.maps import stdf as from_stdf
from station.datalog.maps.axes import NOTCHES, Axes, Notch, View
from station.datalog.maps.picture import picture
from station.datalog.maps.sheet import RowOrder
from station.datalog.maps.wafer import Die, DieState, MapBin, WaferMap
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.records import whole
from station.datalog.store import Store
from station.errors import MapError
from station.model import DeviceResult, Place, TouchdownResult
from station.set_up import WaferGeometry
from tests.station.datalog.lots import BEGAN, failed, good, lot, touchdown

BINS = (MapBin(1, "good", True), MapBin(3, "leakage", False))
VIEWS = [View(notch, bottom=bottom) for notch in NOTCHES for bottom in (False, True)]
ALL_AXES = [
    Axes(right, down, origin, base)
    for right in (True, False)
    for down in (True, False)
    for origin in ("upper left", "upper right", "lower left", "lower right", "center")
    for base in (0, 1)
]
ORDERS: list[RowOrder] = ["seen", "origin"]


def wafer() -> WaferMap:
    """Five columns, four rows, corners missing, one mark that no turn maps onto itself."""
    missing = {(0, 0), (4, 0), (0, 3), (3, 3), (4, 3)}
    dies = {(c, r): Die(hard=1, soft=1) for c in range(5) for r in range(4) if (c, r) not in missing}
    dies |= {(3, 1): Die(hard=3, soft=3), (0, 1): Die(DieState.REFERENCE, contacts=0)}
    dies[4, 2] = Die(DieState.UNTESTED, contacts=0)
    placed = dict(sorted(dies.items()))
    return WaferMap("W07", 5, 4, placed, BINS, "L26K0417", "SE1", 300.0, (3.1, 2.9), ((0, 1),))


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("kind", ["Ascii", "Decimal", "HexaDecimal", "Integer2"])
def test_e142_there_and_back(view: View, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "map.xml"
    for axes in ALL_AXES if kind == "HexaDecimal" else ALL_AXES[-1:]:
        for order in ORDERS:
            e142.write(wafer(), path, view=view, axes=axes, order=order, kind=kind)
            assert e142.read(path, order=order, base=axes.base) == [wafer()]


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("origin", list(g85.ORIGINS))
def test_g85_there_and_back(view: View, origin: str, tmp_path: Path) -> None:
    path = tmp_path / "map.xml"
    for kind in ("Ascii", "Decimal"):
        for order in ORDERS:
            g85.write(wafer(), path, created=1.8e9, view=view, origin=origin, order=order, kind=kind)
            assert g85.read(path, order=order) == [wafer()]


def test_one_format_says_what_the_other_says(tmp_path: Path) -> None:
    e142.write(wafer(), tmp_path / "a.xml", view=View("R"))
    g85.write(e142.read(tmp_path / "a.xml")[0], tmp_path / "b.xml", created=0.0, view=View("U", bottom=True))
    assert g85.read(tmp_path / "b.xml") == [wafer()]


@pytest.mark.parametrize(
    ("notch", "mark"),
    [("D", (0, 0)), ("L", (0, 2)), ("U", (3, 2)), ("R", (3, 0))],
)
def test_a_mark_at_the_upper_left_lands_where_the_eye_says(notch: Notch, mark: tuple[int, int]) -> None:
    """Turn a sheet whose notch is at the left a quarter counter-clockwise: its upper left goes down."""
    view = View(notch)
    seen = view.size((4, 3))
    assert view.grid_upright((0, 0), seen) == mark
    assert view.grid_seen(mark, (4, 3)) == (0, 0)


def test_seen_from_below_left_is_right() -> None:
    assert View("D", bottom=True).grid_upright((0, 1), (4, 3)) == (3, 1)


@given(
    st.sampled_from(VIEWS),
    st.sampled_from(ALL_AXES),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.data(),
)
def test_every_turn_and_every_axis_has_its_way_back(
    view: View, axes: Axes, size: tuple[int, int], data: st.DataObject
) -> None:
    place = (data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1)))
    assert view.grid_upright(view.grid_seen(place, size), view.size(size)) == place
    assert view.seen(view.upright(place)) == place
    assert axes.place(axes.coordinates(place, size), size) == place


@given(st.binary(max_size=300))
def test_what_is_no_map_is_one_message(data: bytes) -> None:
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        for format_ in (e142, g85):
            with pytest.raises(MapError, match=re.escape(file.name)):
                format_.read(Path(file.name))


def broken(tmp_path: Path, old: str, new: str, *, format_: str = "e142") -> Path:
    path = tmp_path / "map.xml"
    if format_ == "e142":
        e142.write(wafer(), path)
    else:
        g85.write(wafer(), path, created=0.0)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</MapData>", "", "no XML"),
        ('BinCount="12"', 'BinCount="13"', "BinCount of '01' is 13, the rows have 12"),
        ("<BinCode>FF", "<BinCode>", "row"),
        ("<BinCode>FF", "<BinCode>F", "no multiple of 2"),
        ("<BinCode>FF", "<BinCode>ZZ", "'ZZ' is no code of the bin type HexaDecimal"),
        ('Orientation="0"', 'Orientation="45"', "Orientation is '45', 0, 90, 180, 270 are allowed"),
        ('AxisDirection="DownRight"', 'AxisDirection="In"', "AxisDirection is 'In'"),
        ('BinType="HexaDecimal"', 'BinType="Roman"', "BinType 'Roman' is not known"),
        ('<Coordinates X="0"', '<Coordinates X="9"', "is outside 5 columns and 4 rows"),
        ('<Coordinates X="0"', '<Coordinates X="a"', "X is 'a', a whole number is needed"),
        ("BinCodeMap", "Other", "no XML"),
        ("<?xml version='1.0' encoding='UTF-8'?>", '<!DOCTYPE a [<!ENTITY e "x">]>', "document type"),
    ],
)
def test_a_malformed_e142_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(MapError, match=said):
        e142.read(broken(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('Rows="4"', 'Rows="5"', "Rows is 5, the map has 4"),
        ('OriginLocation="2"', 'OriginLocation="7"', "OriginLocation is '7', 0, 1, 2, 3, 4 are allowed"),
        ('WaferSize="300"', 'WaferSize="big"', "WaferSize is 'big'"),
        ('BinCount="12"', 'BinCount="x"', "BinCount is 'x', a whole number is needed"),
        ("<Maps>", "<Mops>", "no XML"),
    ],
)
def test_a_malformed_g85_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(MapError, match=said):
        g85.read(broken(tmp_path, old, new, format_="g85"))


def test_other_files_of_xml_are_no_maps(tmp_path: Path) -> None:
    path = tmp_path / "other.xml"
    path.write_text("<a><b/></a>")
    with pytest.raises(MapError, match="no E142 map"):
        e142.read(path)
    with pytest.raises(MapError, match="no G85 map"):
        g85.read(path)


def test_seen_in_the_field_a_bin_defined_twice_and_a_wrong_quality_of_no_die(tmp_path: Path) -> None:
    line = '<BinDefinition BinCode="01" BinQuality="Pass"/><BinDefinition BinCode="FF" BinQuality="Pass"/>'
    path = broken(tmp_path, "</BinDefinitions>", f"{line}</BinDefinitions>")
    assert e142.read(path) == [wafer()]


def test_a_bin_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    found = WaferMap("W1", 1, 1, {(0, 0): Die(hard=36)}, (MapBin(36, "", False),))
    with pytest.raises(MapError, match="bin 36 does not fit the bin type Ascii, which holds 0 to 35"):
        g85.write(found, tmp_path / "map.xml", created=0.0)
    e142.write(found, tmp_path / "map.xml", kind="HexaDecimal")
    assert e142.read(tmp_path / "map.xml")[0].counts() == {36: 1}


@pytest.mark.parametrize("notch", NOTCHES)
@pytest.mark.parametrize("pos_x", ["L", "R"])
@pytest.mark.parametrize("pos_y", ["U", "D"])
def test_the_wafer_of_an_stdf_file(notch: Notch, pos_x: str, pos_y: str, tmp_path: Path) -> None:
    found, view = wafer(), View(notch)
    records = [
        whole("FAR", CPU_TYPE=2, STDF_VER=4),
        whole("MIR", SETUP_T=0, START_T=0, STAT_NUM=1, LOT_ID="L26K0417", PART_TYP="SE1", NODE_NAM="N",
              TSTR_TYP="T", JOB_NAM="J"),
        whole("WCR", WAFR_SIZ=300.0, DIE_HT=2.5, DIE_WID=3.5, WF_UNITS=3, WF_FLAT=notch, POS_X=pos_x,
              POS_Y=pos_y),
        whole("WIR", HEAD_NUM=1, START_T=0, WAFER_ID="W07"),
    ]  # fmt: skip
    for place, die in found.tested.items():
        u, v = view.seen(place)
        x, y = (u if pos_x == "R" else -u) + 40, (v if pos_y == "D" else -v) - 7
        records.append(
            whole("PRR", HEAD_NUM=1, SITE_NUM=1, PART_FLG=8 * (die.hard != 1), NUM_TEST=1, HARD_BIN=die.hard,
                  X_COORD=x, Y_COORD=y, PART_ID="1")
        )  # fmt: skip
    path = tmp_path / "sort.std"
    path.write_bytes(b"".join(records))
    (read,) = from_stdf.read(path)
    left = min(column for column, _ in found.tested)
    assert {(c + left, r) for c, r in read.dies} == set(found.tested)
    assert read.counts() == {1: 12, 3: 1}
    assert read.good == 12
    assert read.wafer_mm == 300.0


def test_a_bin_without_pass_or_fail_is_as_its_parts_are(tmp_path: Path) -> None:
    where = {"HEAD_NUM": 1, "SITE_NUM": 1}
    records = [whole("FAR", CPU_TYPE=2, STDF_VER=4), whole("WIR", HEAD_NUM=1, START_T=0, WAFER_ID="W07")]
    for x, hard in enumerate((1, 1, 3, 5)):
        flags = 8 * (hard == 3)
        records.append(whole("PRR", **where, PART_FLG=flags, NUM_TEST=1, HARD_BIN=hard, X_COORD=x, Y_COORD=0))
    for hard, kind in ((1, " "), (3, " "), (5, "F")):
        records.append(whole("HBR", HEAD_NUM=255, SITE_NUM=0, HBIN_NUM=hard, HBIN_CNT=1, HBIN_PF=kind))
    path = tmp_path / "sort.std"
    path.write_bytes(b"".join(records))
    (read,) = from_stdf.read(path)
    assert {one.number: one.good for one in read.bins} == {1: True, 3: False, 5: False}
    assert read.good == 2


def test_a_final_test_has_no_map(tmp_path: Path) -> None:
    path = tmp_path / "ft.std"
    path.write_bytes(whole("FAR", CPU_TYPE=2, STDF_VER=4))
    with pytest.raises(MapError, match="no file of a wafer sort"):
        from_stdf.read(path)


def test_a_picture() -> None:
    assert picture(wafer()).splitlines()[:7] == [
        "wafer W07 of lot L26K0417: 13 tested, 12 good (92.31 %)",
        "",
        ".111.",
        "#1131",
        "1111?",
        ".11..",
        "",
    ]


def test_wafers_stacked_and_compared() -> None:
    first = wafer()
    dies = dict(first.dies) | {(3, 1): Die(hard=1), (1, 0): Die(hard=3)}
    second = WaferMap("W08", 5, 4, dies, BINS)
    found = compared(first, second)
    assert (found.same, found.recovered, found.lost) == (11, 1, 1)
    assert found.places == ((1, 0), (3, 1))
    assert found.changed == {(1, 3): 1, (3, 1): 1}
    over = stacked([first, second])
    assert over.yields()[3, 1] == 0.5
    assert over.yields()[2, 2] == 1.0
    assert over.repeaters(1) == [(1, 0), (3, 1)]
    with pytest.raises(MapError, match="columns and rows"):
        stacked([first, WaferMap("W1", 2, 2, {})])


@pytest.mark.parametrize("geometry", [None, WaferGeometry(150.0, (3.0, 2.0), "L", "L", "U")])
def test_a_store_has_the_wafers_of_its_datalog(geometry: WaferGeometry | None, tmp_path: Path) -> None:
    info = replace(lot(), wafers=geometry)

    def die(part: int, device: DeviceResult, wafer: str, x: int, y: int) -> TouchdownResult:
        return touchdown(part, replace(device, place=Place(wafer, x, y)))

    landings = [
        die(1, good(1, 1), "W1", 0, 0),
        die(2, failed(1, 2), "W1", 2, 1),
        die(3, replace(good(1, 2), contact=2), "W1", 2, 1),
        die(4, failed(1, 3), "W2", 1, 3),
    ]
    file, store = StdfFile(tmp_path, info), Store(tmp_path / "results.db")
    file.open()
    store.open()
    run = store.begin(info)
    for landed in landings:
        file.touchdown(landed)
        store.commit(landed)
    maps = from_stdf.read(file.close(BEGAN + 9))
    assert from_stdf.of_store(store, run) == maps
    assert [one.wafer for one in maps] == ["W1", "W2"]
    store.close()
