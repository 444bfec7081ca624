"""The operator console: a process of its own between a cell and the browsers that watch and command it."""
