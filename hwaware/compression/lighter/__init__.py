"""Methods that make weights few or cheap to store, and leave widths alone: surgery, Net-Trim, codebooks."""
