//! From a file to pixels: formats, EXIF orientation, 16 bit, size limits; and what can be said of a photo without a network.
