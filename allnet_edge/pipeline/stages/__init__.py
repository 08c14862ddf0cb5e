"""One file a stage, each with ``run(work)``; loaded by ``pipeline.run`` when it is needed."""
