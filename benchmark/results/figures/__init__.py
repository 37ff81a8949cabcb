"""The figures of leaderboard/figures: each a table of what is drawn, and a picture drawn of that table alone."""
