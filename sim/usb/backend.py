"""A bus of simulated USB devices, and PyUSB's backend over it: `usb.core.find(backend=SimUsbBackend(bus))`.

The backend has the methods and the errors of `usb.backend.IBackend` over libusb 1. It does not inherit from
it, because that class brings a finaliser, and what closes a device in simulation must not be the collector.
"""

from array import array
from collections.abc import Iterator
from types import SimpleNamespace

from sim.clock import Clock
from sim.usb.descriptors import Tree, tree
from sim.usb.device import Attachment, UsbDevice, busy, stalled

STANDARD_IN = 0x80


class UsbBus:
    """The devices of one world; each plugging in has an address of its own."""

    def __init__(self, clock: Clock, number: int = 1) -> None:
        self.clock = clock
        self.number = number
        self.attached: list[Attachment] = []
        self._addresses = 0

    def attach(self, device: UsbDevice) -> None:
        """Plug a device in."""
        self._addresses += 1
        device.on_reset()
        self.attached.append(Attachment(device, self.number, self._addresses))

    def detach(self, device: UsbDevice, *, back_after_s: float | None = None) -> None:
        """Unplug a device; it comes back at a new address when `back_after_s` has passed."""
        for attachment in [one for one in self.attached if one.device is device]:
            self.attached.remove(attachment)
            attachment.detach()
        if back_after_s is not None:
            self.clock.call_later(back_after_s, self.attach, device)


class SimUsbBackend:
    """What PyUSB calls. A device and its handle are both an `Attachment`."""

    def __init__(self, bus: UsbBus) -> None:
        self.bus = bus
        self._trees: dict[Attachment, Tree] = {}

    # -- descriptors
    def enumerate_devices(self) -> Iterator[Attachment]:
        """Yield what is plugged in."""
        return iter(tuple(self.bus.attached))

    def get_parent(self, dev: Attachment) -> None:
        """No hubs are simulated."""

    def get_device_descriptor(self, dev: Attachment) -> SimpleNamespace:
        return self._tree(dev).device

    def get_configuration_descriptor(self, dev: Attachment, config: int) -> SimpleNamespace:
        return (self._tree(dev).configuration,)[config]  # IndexError is how PyUSB learns the end

    def get_interface_descriptor(self, dev: Attachment, intf: int, alt: int, config: int) -> SimpleNamespace:
        del config
        numbers = sorted({one.bInterfaceNumber for one, _ in self._tree(dev).interfaces})
        return [one for one, _ in self._tree(dev).interfaces if one.bInterfaceNumber == numbers[intf]][alt]

    def get_endpoint_descriptor(
        self, dev: Attachment, ep: int, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        wanted = self.get_interface_descriptor(dev, intf, alt, config)
        return next(pipes for one, pipes in self._tree(dev).interfaces if one is wanted)[ep]

    def _tree(self, dev: Attachment) -> Tree:
        if dev not in self._trees:
            self._trees[dev] = tree(dev.device.descriptor, dev.device.configuration, dev.bus, dev.address)
        return self._trees[dev]

    # -- opening
    def open_device(self, dev: Attachment) -> Attachment:
        dev.check()
        dev.opened = True
        return dev

    def close_device(self, dev_handle: Attachment) -> None:
        dev_handle.opened = False
        dev_handle.claimed.clear()
        self._trees.pop(dev_handle, None)

    def set_configuration(self, dev_handle: Attachment, config_value: int) -> None:
        dev_handle.check()
        if dev_handle.claimed or dev_handle.kernel:
            raise busy()
        dev_handle.configured = config_value

    def get_configuration(self, dev_handle: Attachment) -> int:
        dev_handle.check()
        return dev_handle.configured

    def set_interface_altsetting(self, dev_handle: Attachment, intf: int, altsetting: int) -> None:
        del intf
        dev_handle.check()
        if altsetting:
            raise stalled()

    def claim_interface(self, dev_handle: Attachment, intf: int) -> None:
        dev_handle.check()
        if intf in dev_handle.kernel or intf in dev_handle.claimed:
            raise busy()
        dev_handle.claimed.add(intf)

    def release_interface(self, dev_handle: Attachment, intf: int) -> None:
        dev_handle.check()
        dev_handle.claimed.discard(intf)

    def is_kernel_driver_active(self, dev_handle: Attachment, intf: int) -> bool:
        dev_handle.check()
        return intf in dev_handle.kernel

    def detach_kernel_driver(self, dev_handle: Attachment, intf: int) -> None:
        dev_handle.check()
        dev_handle.kernel.discard(intf)

    def attach_kernel_driver(self, dev_handle: Attachment, intf: int) -> None:
        dev_handle.check()
        dev_handle.kernel.add(intf)

    # -- transfers
    def bulk_write(self, dev_handle: Attachment, ep: int, intf: int, data: "array[int]", timeout: int) -> int:
        del intf, timeout
        return dev_handle.out(ep, data.tobytes())

    def bulk_read(self, dev_handle: Attachment, ep: int, intf: int, buff: "array[int]", timeout: int) -> int:
        del intf
        return dev_handle.receive(ep, buff, timeout)

    intr_write = bulk_write

    def intr_read(self, dev_handle: Attachment, ep: int, intf: int, buff: "array[int]", timeout: int) -> int:
        dev_handle.check()
        dev_handle.device.on_poll(ep)
        return self.bulk_read(dev_handle, ep, intf, buff, timeout)

    def iso_write(self, dev_handle: Attachment, ep: int, intf: int, data: "array[int]", timeout: int) -> int:
        """Refuse: no isochronous pipes are simulated."""
        raise NotImplementedError("isochronous transfers are not simulated")

    iso_read = iso_write

    def ctrl_transfer(  # noqa: PLR0913 - PyUSB's signature
        self,
        dev_handle: Attachment,
        request_type: int,
        request: int,
        value: int,
        index: int,
        data: "array[int]",
        timeout: int,
    ) -> int:
        """Make a control transfer; an answer goes into `data`."""
        del timeout
        dev_handle.check()
        device = dev_handle.device
        if request_type == STANDARD_IN:
            answer = device.standard(request, value)
        else:
            answer = device.on_control(request_type, request, value, index, data.tobytes())
        if not request_type & STANDARD_IN:
            return len(data)
        count = min(len(answer), len(data))
        data[:count] = array("B", answer[:count])
        return count

    def clear_halt(self, dev_handle: Attachment, ep: int) -> None:
        dev_handle.check()
        dev_handle.device.pipe(ep).halted = False

    def reset_device(self, dev_handle: Attachment) -> None:
        dev_handle.check()
        for pipe in dev_handle.device.pipes.values():
            pipe.transfers.clear()
            pipe.halted = False
        dev_handle.device.on_reset()
