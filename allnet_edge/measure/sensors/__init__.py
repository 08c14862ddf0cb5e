"""What a device says about itself while it is measured; everything is read, nothing is set."""
