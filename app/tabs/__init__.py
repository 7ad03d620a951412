"""One file a tab: handlers above, layout in the middle, wiring below.

Tabs never import each other; what they share of a session stands in `app.session`.
"""
