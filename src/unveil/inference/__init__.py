"""Running a trained model: PyTorch, ONNX Runtime or OpenVINO, and which of them is the fastest here."""
