"""The station on the floor's network: signed commands in, state and events out."""
