"""What was made: whole files, build folders, bundles and their signatures."""
