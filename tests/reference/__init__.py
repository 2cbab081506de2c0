"""Computations whose results were recorded under real Keras, to be repeated under oxiconv."""
