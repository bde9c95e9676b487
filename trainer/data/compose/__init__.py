"""Training samples: fields composed of annotated images, made different as laboratories are."""
