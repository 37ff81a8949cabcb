"""Methods that MACAW is compared with, one file each."""
