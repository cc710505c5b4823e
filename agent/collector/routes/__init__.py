"""What is served: one file per resource, each an ``Operation`` that carries its own documentation."""
