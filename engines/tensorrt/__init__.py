"""TensorRT: building engines, keeping them on the disk, running them on the card."""
