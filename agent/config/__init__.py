"""The configuration: ``model`` says what there is, ``load`` reads a file into it."""
