package cli

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"tether/demo"
)

// columns is the width of the terminal that out is, and 0 where it is none that can be drawn on.
func columns(out io.Writer) int {
	file, is := out.(*os.File)
	if !is || os.Getenv("TERM") == "dumb" {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 { // a terminal that does not know
		return demo.Page
	}
	return int(size.Col)
}
