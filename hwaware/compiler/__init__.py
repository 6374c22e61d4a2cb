"""Code generation: targets, schedules, memory plan, bundles and artifacts."""
