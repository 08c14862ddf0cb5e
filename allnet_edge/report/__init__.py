"""What a build has to say: one typed document, rendered as HTML, Markdown and JSON."""
