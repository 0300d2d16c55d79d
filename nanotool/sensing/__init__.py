"""What is around a model that senses: its description, and its rule in the device's integers."""
