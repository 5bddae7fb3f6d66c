"""Shell 2: ranges of topics coded again, compared, traced, repaired and, once two people agree, published."""
