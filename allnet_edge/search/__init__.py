"""Finding the fastest form that is not worse, on selection cells; never on the gate's."""
