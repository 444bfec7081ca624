"""What persons may do: statements, roles, approvals, orders, and the service that they ask."""
