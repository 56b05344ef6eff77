package upstream

import (
	"crypto/tls"
	"fmt"
	"io"
)

// Manners are how a server wants to be asked, apart from what it is asked.
type Manners struct {
	// KeepHost sends requests on with the client's Host, instead of the URL's.
	KeepHost bool
	// Key goes with requests that bring no Authorization of their own, and with probes. "" is none.
	Key APIKey
	// OverrideKey sends Key with all requests, and keeps what clients sent to prove who they are to ourselves.
	OverrideKey bool
	// TLS is what it speaks where its Address is Secure.
	TLS TLS
}

// TLS gives the TLS configuration for the next connection.
type TLS interface{ Config() *tls.Config }

// APIKey is a secret: whatever prints it prints ***.
type APIKey string

const masked = "***"

// Format implements fmt.Formatter, for every verb.
func (APIKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, masked) }

// MarshalText implements encoding.TextMarshaler.
func (APIKey) MarshalText() ([]byte, error) { return []byte(masked), nil }

// AppendAuthorization appends the header field that shows the key.
func (k APIKey) AppendAuthorization(dst []byte) []byte {
	return append(append(append(dst, "Authorization: Bearer "...), k...), "\r\n"...)
}
