"""Writing trained models as ONNX and OpenVINO graphs, and comparing what two of them answer."""
