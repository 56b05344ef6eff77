package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ReadSecret reads the secret in file, without the white space around it; none for "". Its errors say what to do.
func ReadSecret(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	secret := strings.TrimSpace(string(text))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%q is not there, want a file with the secret: write it, or leave the key out", file)
	case err != nil:
		return nil, fmt.Errorf("%q cannot be read: %s, want a file with the secret", file, reasonOf(err))
	case secret == "":
		return nil, fmt.Errorf("%q is empty, want a file with the secret", file)
	}
	return []byte(secret), nil
}
