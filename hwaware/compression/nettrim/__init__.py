"""Net-Trim (Aghasi, Abdi, Nguyen, Romberg 2017, arXiv:1611.05162): layers made sparse by a convex programme each."""
