"""What is said of a cell that could not be made safe."""

from station.engine.safety import Safety


async def test_a_machine_is_named_once() -> None:
    told = list[tuple[float, tuple[str, ...]]]()

    async def tell(took_s: float, unverified: tuple[str, ...]) -> None:
        told.append((took_s, unverified))

    safety = Safety((), tell)
    assert not await safety.came_to(0.5, {"supply.1": "supply.1: it is still on", "smu": "no answer"})
    assert safety.why == "the cell could not be made safe: smu: no answer; supply.1: it is still on"
    assert told == [(0.5, ("smu", "supply.1"))]
