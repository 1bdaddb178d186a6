"""gRPC on Trio: grpclib on the loop of trio-asyncio, with bounds for its callers."""
