"""What protoc made of plugin.proto; see tests/plugin/generate_proto.py."""
