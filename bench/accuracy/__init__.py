"""How much accuracy int8 costs: six trained nets, five calibration draws, onnxruntime beside us."""
