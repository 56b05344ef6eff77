package kube

import (
	"encoding/base64"
	"errors"
	"path/filepath"

	"tether/files"
)

// encoded is bytes that a kubeconfig has in base64; empty for none.
type encoded string

// or returns the bytes, or else the content of the file, or nil if there is no file either. Errors show no part of the bytes.
func (b encoded) or(dir, file, what string) ([]byte, error) {
	switch {
	case b != "":
		data, err := base64.StdEncoding.DecodeString(string(b))
		if err != nil {
			return nil, errors.New(what + " that are not base64")
		}
		return data, nil
	case file != "":
		return files.Read(inDir(dir, file), what, maxFile)
	}
	return nil, nil
}

// inDir returns path, which begins in dir unless it is absolute.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
