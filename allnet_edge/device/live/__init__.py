"""A camera, a bundle and a slide at work: threads, queues, and what is told of them."""
