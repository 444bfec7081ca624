"""A bus of simulated USB devices, and PyUSB's backend over it: `usb.core.find(backend=SimUsbBackend(bus))`.

The backend has the methods and the errors of `usb.backend.IBackend` over libusb 1. It does not inherit from
it, because that class brings a finaliser, and what closes a device in simulation must not be the collector.
"""

from array import array
from collections.abc import Iterator
from types import SimpleNamespace

from sim.clock import Clock
from sim.usb.descriptors import Tree, tree
from sim.usb.device import Attachment, Handle, UsbDevice, busy, stalled

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
    """What PyUSB calls. Its devices are `Attachment`, its handles `Handle`."""

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
    def open_device(self, dev: Attachment) -> Handle:
        dev.check()
        return Handle(dev)

    def close_device(self, dev_handle: Handle) -> None:
        dev_handle.release()

    def set_configuration(self, dev_handle: Handle, config_value: int) -> None:
        attachment = dev_handle.checked()
        if attachment.claimed or attachment.kernel:
            raise busy()
        attachment.configured = config_value

    def get_configuration(self, dev_handle: Handle) -> int:
        return dev_handle.checked().configured

    def set_interface_altsetting(self, dev_handle: Handle, intf: int, altsetting: int) -> None:
        del intf
        dev_handle.checked()
        if altsetting:
            raise stalled()

    def claim_interface(self, dev_handle: Handle, intf: int) -> None:
        dev_handle.claim(intf)

    def release_interface(self, dev_handle: Handle, intf: int) -> None:
        if dev_handle.checked().claimed.get(intf) is dev_handle:
            del dev_handle.attachment.claimed[intf]

    def is_kernel_driver_active(self, dev_handle: Handle, intf: int) -> bool:
        return intf in dev_handle.checked().kernel

    def detach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        dev_handle.checked().kernel.discard(intf)

    def attach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        dev_handle.checked().kernel.add(intf)

    # -- transfers
    def bulk_write(self, dev_handle: Handle, ep: int, intf: int, data: "array[int]", timeout: int) -> int:
        del intf, timeout
        return dev_handle.attachment.out(ep, data.tobytes())

    def bulk_read(self, dev_handle: Handle, ep: int, intf: int, buff: "array[int]", timeout: int) -> int:
        del intf
        return dev_handle.attachment.receive(ep, buff, timeout)

    intr_write = bulk_write

    def intr_read(self, dev_handle: Handle, ep: int, intf: int, buff: "array[int]", timeout: int) -> int:
        dev_handle.checked()
        dev_handle.device.on_poll(ep)
        return self.bulk_read(dev_handle, ep, intf, buff, timeout)

    def iso_write(self, dev_handle: Handle, ep: int, intf: int, data: "array[int]", timeout: int) -> int:
        """Refuse: no isochronous pipes are simulated."""
        raise NotImplementedError("isochronous transfers are not simulated")

    iso_read = iso_write

    def ctrl_transfer(  # noqa: PLR0913 - PyUSB's signature
        self,
        dev_handle: Handle,
        request_type: int,
        request: int,
        value: int,
        index: int,
        data: "array[int]",
        timeout: int,
    ) -> int:
        """Make a control transfer; an answer goes into `data`."""
        del timeout
        dev_handle.checked()
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

    def clear_halt(self, dev_handle: Handle, ep: int) -> None:
        dev_handle.checked()
        dev_handle.device.pipe(ep).halted = False

    def reset_device(self, dev_handle: Handle) -> None:
        dev_handle.checked()
        for pipe in dev_handle.device.pipes.values():
            pipe.transfers.clear()
            pipe.halted = False
        dev_handle.device.on_reset()
