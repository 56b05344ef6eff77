package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"tether/upstream"
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

// maxKey bounds an API key, in bytes: servers bound the heads that they read.
const maxKey = 4096

// readKey is ReadSecret for a key that is to stand in a header field.
func readKey(file string) (upstream.APIKey, error) {
	key, err := ReadSecret(file)
	if err != nil {
		return "", err
	}
	unfit := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(key) > maxKey || bytes.ContainsFunc(key, unfit) {
		return "", fmt.Errorf("%q holds what cannot be sent as a key, want a file with 1..%d bytes of visible ASCII on one line", file, maxKey)
	}
	return upstream.APIKey(key), nil
}
