"""The .tflite front end: `flatbuffer` and `schema` say how the bytes are laid out, `file` reads
and checks them."""
