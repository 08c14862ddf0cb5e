"""What the microscope side keeps: slides, fields, cells, decisions, corrections and a log."""
