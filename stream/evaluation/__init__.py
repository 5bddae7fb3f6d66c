"""How well certificates are coded, against gold: counts, calibration, confusions and the report that shows them."""
