"""Which addresses are of this machine alone."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether nobody but this machine reaches an address or name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
