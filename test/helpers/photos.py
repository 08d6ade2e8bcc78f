"""The photographs that tests put into bags."""

# mean grey levels, one photograph each
SHADES = list(range(0, 240, 10))
