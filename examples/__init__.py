"""Worked examples: five real tasks (task06 to task10), each from data to device.

`flow` is what they share: fetch, train, quantize, export, prove on the boards, show.
"""
