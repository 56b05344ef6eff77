// Package files reads the files that a configuration names, and follows their changes. It does not know what they
// hold: packages auth and tlsfiles do, and package app runs Follow.
//
// Goroutines: Follow, started and awaited by the caller.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Error is a file and what is wrong with it, in words for the user who named it.
type Error struct{ Path, Problem string }

func (e *Error) Error() string { return fmt.Sprintf("%q %s", e.Path, e.Problem) }

// Read returns the content of a regular file, of at most max bytes. what tells in errors what the file should be: "a file
// with API keys". Every error is an *Error.
func Read(path, what string, max int64) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe would block
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
	defer func() { _ = f.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(f, max))
}

// Reason returns the text of an error of package os without the path in front.
func Reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return err.Error()
}
