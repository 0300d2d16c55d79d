"""The .tflite front end: `load` makes a QGraph of a file.

flatbuffer  checked reading of flatbuffers of any schema
schema      the tables of the .tflite schema that are read
file        a file as plain, consistent values: knows no int8 graph
builder     the graph that grows, and what an operator's importer may ask
importers   which function imports which operator; linear, pooling, elementwise, axis, move
instead     what to do about operators that have none
convert     from a file to a sound graph
"""

from nanotool.frontends.tflite.convert import load

__all__ = ["load"]
