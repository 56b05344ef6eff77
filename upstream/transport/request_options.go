package transport

import (
	"crypto/tls"
	"fmt"
	"io"
)

// RequestOptions are one server's rules for requests to it: Host, API key and TLS.
type RequestOptions struct {
	// PreserveHost sends the client's Host to the server, in place of the URL's.
	PreserveHost bool
	// Key goes with requests that have no Authorization of their own, and with probes. "" is none.
	Key APIKey
	// OverrideKey sends Key with all requests, and withholds the credentials that clients sent to tether.
	OverrideKey bool
	// TLS is what the server speaks if its Address is Secure. Its dynamic type must be comparable, as a pointer is: Registry.Apply compares it.
	TLS TLS
}

// TLS provides the configuration for the next TLS connection.
type TLS interface{ Config() *tls.Config }

// APIKey is a secret: it is printed as ***.
type APIKey string

const masked = "***"

// Format implements fmt.Formatter, for every verb.
func (APIKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, masked) }

// MarshalText implements encoding.TextMarshaler.
func (APIKey) MarshalText() ([]byte, error) { return []byte(masked), nil }

// AppendAuthorization appends the header field with the key to dst.
func (k APIKey) AppendAuthorization(dst []byte) []byte {
	return append(append(append(dst, "Authorization: Bearer "...), k...), "\r\n"...)
}
