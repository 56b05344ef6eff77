package tlsfiles

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
)

// files are the PEM files of one side of connections; "" is none.
type files struct{ cert, key, ca string }

// material is what files hold.
type material struct {
	certificates []tls.Certificate
	authorities  *x509.CertPool // nil where no file says whom to trust
	sum          [sha256.Size]byte
}

// maxFile bounds each file, in bytes.
const maxFile = 1 << 20

// fileError is what is wrong with one of the files.
type fileError struct {
	path, problem string
}

func (e *fileError) Error() string { return fmt.Sprintf("%q %s", e.path, e.problem) }

// read gives the bytes of a file, or none for "".
func read(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, &fileError{path: path, problem: "is no regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &fileError{path: path, problem: "cannot be read: " + reason(err)}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, &fileError{path: path, problem: "cannot be read: " + reason(err)}
	case len(text) > maxFile:
		return nil, &fileError{path: path, problem: fmt.Sprintf("is larger than %d bytes", maxFile)}
	}
	return text, nil
}

// reason is why a file cannot be read, without its path.
func reason(err error) string {
	var bad *os.PathError
	if errors.As(err, &bad) {
		err = bad.Err
	}
	return err.Error()
}

// load reads the files and makes what they hold. The sum is there as soon as they could be read, whatever is in them.
func (f *files) load() (m material, err error) {
	var texts [3][]byte
	for i, path := range []string{f.cert, f.key, f.ca} {
		if texts[i], err = read(path); err != nil {
			return m, err
		}
	}
	m.sum = sum(texts)
	if f.cert != "" {
		pair, err := tls.X509KeyPair(texts[0], texts[1])
		if err != nil {
			return m, &fileError{path: f.cert, problem: fmt.Sprintf("and %q are no certificate with its key in PEM: %v", f.key, err)}
		}
		m.certificates = []tls.Certificate{pair}
	}
	if f.ca != "" {
		m.authorities = x509.NewCertPool()
		if !m.authorities.AppendCertsFromPEM(texts[2]) {
			return m, &fileError{path: f.ca, problem: "holds no certificate in PEM"}
		}
	}
	return m, nil
}

func sum(texts [3][]byte) (s [sha256.Size]byte) {
	h := sha256.New()
	for _, text := range texts {
		part := sha256.Sum256(text)
		h.Write(part[:])
	}
	h.Sum(s[:0])
	return s
}

// validate reports what keeps the files from being loaded, under the keys that name them.
func (f *files) validate(caKey string, report func(key, problem string)) {
	_, err := f.load()
	var bad *fileError
	if !errors.As(err, &bad) {
		return
	}
	key := "cert"
	switch bad.path {
	case f.ca:
		key = caKey
	case f.key:
		key = "key"
	}
	report(key, bad.Error())
}
