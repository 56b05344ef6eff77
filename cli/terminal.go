package cli

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"tether/demo"
)

// columns returns the width of the terminal out, and 0 if out is not a terminal that can be drawn on.
func columns(out io.Writer) int {
	file, is := out.(*os.File)
	if !is || os.Getenv("TERM") == "dumb" {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 { // the terminal does not know its width
		return demo.Page
	}
	return int(size.Col)
}
