"""Running model files of any origin: opening ONNX and OpenVINO graphs, and feeding images to them as a card says."""
