"""Text of certificates: normal form, abbreviations, spelling, connectors, assertions, intervals.

A line goes through ``normalise`` (`normal`), whose result keeps for every character its place in the raw line. On the
normal form, ``segment`` (`segment`) cuts at connectors, ``find_intervals`` (`interval`) finds durations and dates, and
``is_noncause`` (`noncauses`) tells the words that name no cause. All is pure and depends on nothing but its tables.
"""
