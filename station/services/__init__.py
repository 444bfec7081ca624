"""Units of systemd, and the accounts and folders that they need, as `hardbin service files` writes them."""
