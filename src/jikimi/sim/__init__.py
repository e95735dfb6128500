"""Factory scenes that no camera had to film: workers, accidents and the look of CCTV."""
