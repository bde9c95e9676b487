"""From annotated images of several laboratories to training samples: readers, store, composition, augmentation."""
