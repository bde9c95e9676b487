"""The protocol as files for implementers: JSON Schemas, AsyncAPI, golden vectors, the lock of a version. `make schemas`."""
