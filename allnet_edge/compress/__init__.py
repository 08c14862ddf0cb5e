"""Making a float network smaller or sparser; works on the tf-keras twin."""
