// Package files reads the files that a configuration names, and notices when there is something new in them. It knows
// nothing of what they hold.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Error is what is wrong with a file, in words for whoever named it.
type Error struct{ Path, Problem string }

func (e *Error) Error() string { return fmt.Sprintf("%q %s", e.Path, e.Problem) }

// Read gives the content of a file that can be read again and again, of at most max bytes. what says in errors what it should
// be: "a file with API keys". Every error is an Error.
func Read(path, what string, max int64) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, &Error{path, "is no regular file, want " + what}
	}
	return ReadOnce(path, what, max)
}

// ReadOnce is Read for a file that may be a pipe.
func ReadOnce(path, what string, max int64) ([]byte, error) {
	text, err := readUpTo(path, max+1)
	var problem string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problem = "is not there, want " + what + ": write it, or leave the key out"
	case err != nil:
		problem = "cannot be read: " + Reason(err) + ", want " + what
	case int64(len(text)) > max:
		problem = fmt.Sprintf("has more than %d KiB, want %s", max>>10, what)
	default:
		return text, nil
	}
	return nil, &Error{path, problem}
}

func readUpTo(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, max))
}

// Reason is why a file cannot be read, without its path.
func Reason(err error) string {
	var bad *fs.PathError
	if errors.As(err, &bad) {
		err = bad.Err
	}
	return err.Error()
}
