"""A device over the network: copies that go on where they stood, and commands that run there."""
