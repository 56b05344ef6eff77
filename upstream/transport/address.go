package transport

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
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
	// Prefix stands before the path of every request to the server, "/vllm-0"; "" for none. It does not end with a slash.
	Prefix string
}

// ParseURL reads http://HOST[:PORT][/PREFIX], https://HOST[:PORT][/PREFIX] (port 80 and 443 by default) or http+unix:///PATH. A
// query, fragment or user is an error, and so is a prefix that servers could read in two ways.
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
	case u.RawQuery != "" || u.ForceQuery, u.Fragment != "", u.User != nil:
		return Address{}, fmt.Errorf("want %s://HOST:PORT or %s://HOST:PORT/PREFIX, without a user, query or fragment", u.Scheme, u.Scheme)
	}
	prefix := strings.TrimSuffix(u.EscapedPath(), "/")
	if err := checkPrefix(prefix); err != nil {
		return Address{}, err
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return Address{}, fmt.Errorf("port %s, want 1..65535", port)
	}
	return Address{Network: "tcp", Dial: net.JoinHostPort(u.Hostname(), port), Host: u.Host, Prefix: prefix}, nil
}

// checkPrefix refuses a prefix that a server may take for another path. It also refuses one that ends with /v1, as the base URLs
// of OpenAI's clients do: every request's own path has the /v1.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	for segment := range strings.SplitSeq(prefix[1:], "/") {
		if segment == "" || strings.Trim(segment, ".") == "" || strings.ContainsFunc(segment, func(c rune) bool { return !strings.ContainsRune(prefixSigns, c) }) {
			return fmt.Errorf("prefix %s, want names of letters, digits and -._~ between slashes, and none of dots alone", prefix)
		}
	}
	if strings.HasSuffix(prefix, "/v1") {
		return fmt.Errorf("prefix %s, want it without /v1, which is part of every request's own path", prefix)
	}
	return nil
}

const prefixSigns = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
