package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"tether/files"
)

// set is the PEM files of one side of connections; "" is none.
type set struct{ cert, key, ca string }

// material is what files hold.
type material struct {
	certificates []tls.Certificate
	authorities  *x509.CertPool // nil where no file says whom to trust
	look         files.Look
}

// maxFile bounds each file, in bytes.
const maxFile = 1 << 20

// read gives the bytes of a file, or none for "".
func read(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return files.Read(path, "a PEM file", maxFile)
}

// load reads the files and makes what they hold. The look is there whatever is in them.
func (f *set) load() (m material, err error) {
	var texts [3][]byte
	for i, path := range []string{f.cert, f.key, f.ca} {
		if texts[i], err = read(path); err != nil {
			m.look = files.LookAt(err)
			return m, err
		}
	}
	m.look = files.LookAt(nil, texts[:]...)
	if f.cert != "" {
		pair, err := tls.X509KeyPair(texts[0], texts[1])
		if err != nil {
			return m, &files.Error{Path: f.cert, Problem: fmt.Sprintf("and %q are no certificate with its key in PEM: %v", f.key, err)}
		}
		m.certificates = []tls.Certificate{pair}
	}
	if f.ca != "" {
		m.authorities = x509.NewCertPool()
		if !m.authorities.AppendCertsFromPEM(texts[2]) {
			return m, &files.Error{Path: f.ca, Problem: "holds no certificate in PEM"}
		}
	}
	return m, nil
}

// validate reports what keeps the files from being loaded, under the keys that name them.
func (f *set) validate(caKey string, report func(key, problem string)) {
	_, err := f.load()
	var bad *files.Error
	if !errors.As(err, &bad) {
		return
	}
	key := "cert"
	switch bad.Path {
	case f.ca:
		key = caKey
	case f.key:
		key = "key"
	}
	report(key, bad.Error())
}
