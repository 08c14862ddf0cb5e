"""The build: stages in order, each made once, each skipped when nothing that it needs changed."""
