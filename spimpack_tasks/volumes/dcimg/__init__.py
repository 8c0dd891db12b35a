"""DCIMG, the format of Hamamatsu cameras: layout, header and frames."""
