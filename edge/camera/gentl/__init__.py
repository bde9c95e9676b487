"""Any maker's camera through its GenTL producer, by harvesters and genicam: an extra, loaded when such a camera is asked for."""
