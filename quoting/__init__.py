"""What we show: quotes for a whole chain, their widths, protections and obligations."""
