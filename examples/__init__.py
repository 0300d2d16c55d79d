"""Worked examples: notebooks (01 to 05), and five real tasks (task06 to task10).

`flow` is what they share: fetch, train, quantize, export, prove on the boards, show.
"""
