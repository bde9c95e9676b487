"""GigE Vision and USB3 Vision cameras through libaravis (LGPL), which is loaded when such a camera is asked for."""
