"""One file a group of routes; each makes a router for one desk."""
