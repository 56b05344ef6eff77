package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"tether/files"
)

// pems is the PEM files of one side of a connection; "" is no file.
type pems struct{ cert, key, ca string }

// material is what the files hold.
type material struct {
	certificates []tls.Certificate
	authorities  *x509.CertPool // nil if no file names authorities
}

// maxFile limits each file, in bytes.
const maxFile = 1 << 20

func (p *pems) set() files.Set {
	return files.Set{Paths: []string{p.cert, p.key, p.ca}, What: "a PEM file", Max: maxFile}
}

// parse makes material of the contents of cert, key and ca. Every error is a *files.Error.
func (p *pems) parse(contents [][]byte) (m material, err error) {
	if p.cert != "" {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return m, &files.Error{Path: p.cert, Problem: fmt.Sprintf("and %q are no certificate with its key in PEM: %v", p.key, err)}
		}
		m.certificates = []tls.Certificate{pair}
	}
	if p.ca != "" {
		m.authorities = x509.NewCertPool()
		if !m.authorities.AppendCertsFromPEM(contents[2]) {
			return m, &files.Error{Path: p.ca, Problem: "holds no certificate in PEM"}
		}
	}
	return m, nil
}

// validate reports why the files cannot be used, under the key that names the file. caKey is the key of ca.
func (p *pems) validate(caKey string, report func(key, problem string)) {
	set := p.set()
	contents, err := set.Read()
	if err == nil {
		_, err = p.parse(contents)
	}
	var bad *files.Error
	if !errors.As(err, &bad) {
		return
	}
	key := "cert"
	switch bad.Path {
	case p.ca:
		key = caKey
	case p.key:
		key = "key"
	}
	report(key, bad.Error())
}
