"""Cost tables against the clock: variants that were never profiled, predicted first and then measured."""
