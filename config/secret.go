package config

import (
	"bytes"
	"fmt"

	"tether/files"
	"tether/upstream/transport"
)

// maxSecret limits a file with a secret, in bytes.
const maxSecret = 64 << 10

// ReadSecret returns the secret in file, without the white space around it, and nil if file is "". Errors say what to do.
func ReadSecret(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	const what = "a file with the secret"
	text, err := files.ReadOnce(file, what, maxSecret)
	if err != nil {
		return nil, err
	}
	secret := bytes.TrimSpace(text)
	if len(secret) == 0 {
		return nil, fmt.Errorf("%q is empty, want %s", file, what)
	}
	return secret, nil
}

// maxKey limits an API key, in bytes: servers limit the heads that they read.
const maxKey = 4096

// readKey is ReadSecret for a key that is sent in a header field.
func readKey(file string) (transport.APIKey, error) {
	key, err := ReadSecret(file)
	if err != nil {
		return "", err
	}
	unfit := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(key) > maxKey || bytes.ContainsFunc(key, unfit) {
		return "", fmt.Errorf("%q holds what cannot be sent as a key, want a file with 1..%d bytes of visible ASCII on one line", file, maxKey)
	}
	return transport.APIKey(key), nil
}
