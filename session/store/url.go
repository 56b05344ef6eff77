package store

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// URL is the URL of a store. It may hold a password, which its text never has.
type URL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *URL) UnmarshalText(text []byte) error {
	*u = URL(text)
	return nil
}

// MarshalText implements encoding.TextMarshaler: it hides the password.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// String returns the URL without its password. Of a text that is no URL it returns nothing.
func (u URL) String() string {
	if u == "" {
		return ""
	}
	a, err := ParseURL(string(u))
	if err != nil {
		return "***"
	}
	scheme, rest, _ := strings.Cut(string(u), "://")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	switch {
	case a.Password != "":
		rest = url.PathEscape(a.User) + ":***@" + rest
	case a.User != "":
		rest = url.PathEscape(a.User) + "@" + rest
	}
	return scheme + "://" + rest
}

// GoString returns the URL without its password.
func (u URL) GoString() string { return strconv.Quote(u.String()) }

// Address is what a URL says.
type Address struct {
	// Hosts are HOST:PORT of the server, of some nodes of a cluster, or of sentinels.
	Hosts []string
	// Master is the name that the sentinels give the server; "" without sentinels.
	Master         string
	User, Password string
	// SentinelPassword is that of the sentinels, which no URL has; "" for none.
	SentinelPassword string
	// Database is the number of the database.
	Database int
	// Secure is true for TLS.
	Secure bool
}

const maxDatabase = 1 << 20

var (
	errScheme   = errors.New("want redis://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][/DATABASE], rediss:// for TLS, or redis-sentinel://...HOST[:PORT]/MASTER[/DATABASE]")
	errHost     = errors.New("has a host that is no HOST or HOST:PORT, want redis://HOST:PORT")
	errMaster   = errors.New("names no master, want redis-sentinel://HOST:PORT/MASTER")
	errDatabase = errors.New("has a database that is no number, want redis://HOST:PORT/0")
	errUser     = errors.New("has a user or a password with wrong escapes: write / as %2F, @ as %40 and % as %25")
	errQuery    = errors.New("has a query or a fragment, want redis://HOST:PORT/DATABASE; write ? in a password as %3F and # as %23")
)

// ParseURL reads redis://[[USER]:PASSWORD@]HOST[:PORT][,...][/DATABASE] (port 6379), the same with rediss:// for TLS, and
// redis-sentinel:// or rediss-sentinel://[...]HOST[:PORT][,...]/MASTER[/DATABASE] (port 26379). Errors have no part of the URL.
func ParseURL(raw string) (a Address, err error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	port, sentinel := "6379", false
	switch scheme {
	case "redis":
	case "rediss":
		a.Secure = true
	case "redis-sentinel", "rediss-sentinel":
		port, sentinel, a.Secure = "26379", true, scheme == "rediss-sentinel"
	default:
		return Address{}, errScheme
	}
	if strings.ContainsAny(rest, "?#") {
		return Address{}, errQuery
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if a.User, a.Password, err = user(rest[:at]); err != nil {
			return Address{}, err
		}
		rest = rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if a.Hosts, err = hostsOf(hosts, port); err != nil {
		return Address{}, err
	}
	if sentinel {
		if a.Master, path, _ = strings.Cut(path, "/"); a.Master == "" {
			return Address{}, errMaster
		}
	}
	if path != "" {
		if a.Database, err = strconv.Atoi(path); err != nil || a.Database < 0 || a.Database > maxDatabase {
			return Address{}, errDatabase
		}
	}
	return a, nil
}

func user(text string) (name, password string, err error) {
	name, password, _ = strings.Cut(text, ":")
	name, err = url.PathUnescape(name)
	if err != nil {
		return "", "", errUser
	}
	if password, err = url.PathUnescape(password); err != nil {
		return "", "", errUser
	}
	return name, password, nil
}

func hostsOf(text, port string) (all []string, err error) {
	for one := range strings.SplitSeq(text, ",") {
		u, err := url.Parse("redis://" + one)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" {
			return nil, errHost
		}
		p := u.Port()
		if p == "" {
			p = port
		}
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, errHost
		}
		all = append(all, net.JoinHostPort(u.Hostname(), p))
	}
	return all, nil
}
