"""How much accuracy int8 costs: trained nets, five calibration draws, onnxruntime beside us."""
