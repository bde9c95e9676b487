"""The GPU as the engine needs it: page-locked and device memory, copies, streams, events, graphs."""
