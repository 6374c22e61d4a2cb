"""Dynamic Network Surgery: connections are cut while a net trains, and spliced back where they are needed."""
