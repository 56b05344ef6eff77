// The compiler accepts yield, which has no body in Go, only beside an assembler file.
