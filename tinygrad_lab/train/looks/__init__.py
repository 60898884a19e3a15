"""What people love to look at: nets, trainings and runs, as figures, as text and in notebooks.

Each is one call, public under ``tinygrad_lab.train``; ``sheet.py`` says what they have in common.
"""
