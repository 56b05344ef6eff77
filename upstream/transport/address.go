package transport

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
)

// Address is where a server listens. It is never shown or logged.
type Address struct {
	// Network is "tcp" or "unix".
	Network string
	// Dial is "host:port", or the path of a unix socket.
	Dial string
	// Host is the Host header of requests to the server.
	Host string
	// Secure tells that the server speaks TLS.
	Secure bool
}

// ParseURL reads http://HOST[:PORT], https://HOST[:PORT] (port 80 and 443 by default) or http+unix:///PATH. A path, query,
// fragment or user behind http or https is an error: requests keep the client's path.
func ParseURL(raw string) (Address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err
		}
		return Address{}, err
	}
	switch u.Scheme {
	case "http":
		return parseTCP(u, "80")
	case "https":
		a, err := parseTCP(u, "443")
		a.Secure = err == nil
		return a, err
	case "http+unix":
		if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
			return Address{}, errors.New("want http+unix:///PATH/OF/SOCKET")
		}
		return Address{Network: "unix", Dial: u.Path, Host: "localhost"}, nil
	case "":
		return Address{}, errors.New("no scheme, want http://HOST:PORT, https://HOST:PORT or http+unix:///PATH")
	}
	return Address{}, fmt.Errorf("scheme %q, want http, https or http+unix", u.Scheme)
}

func parseTCP(u *url.URL, defaultPort string) (Address, error) {
	switch {
	case u.Hostname() == "":
		return Address{}, fmt.Errorf("no host, want %s://HOST:PORT", u.Scheme)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", u.User != nil:
		return Address{}, fmt.Errorf("want %s://HOST:PORT and nothing behind it: requests keep the client's path", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return Address{}, fmt.Errorf("port %s, want 1..65535", port)
	}
	return Address{Network: "tcp", Dial: net.JoinHostPort(u.Hostname(), port), Host: u.Host}, nil
}
