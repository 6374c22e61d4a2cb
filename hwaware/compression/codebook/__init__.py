"""Product quantisation by activation reconstruction (Stock et al. 2019, arXiv:1907.05686): weights as codewords."""
