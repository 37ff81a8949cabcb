"""Submissions made from runs, and verified: policies as ONNX files, measured anew under the protocol."""
