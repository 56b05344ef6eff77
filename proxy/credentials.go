package proxy

import (
	"bytes"

	"tether/http1"
)

// credentials are the API keys in a request's head, where tether wants one. They are for tether: no server gets them.
type credentials struct {
	wanted bool
	key    []byte
	two    bool // different ones, and nobody could say whose request it is
}

// takeAuthorization takes in an Authorization, and reports whether it is tether's. One of another scheme than Bearer
// names no key, and goes no further either.
func (c *credentials) takeAuthorization(value []byte) bool {
	key, bears := http1.CutPrefixFold(value, "bearer ")
	if !bears {
		return c.wanted
	}
	return c.take(http1.Trim(key))
}

// take takes in a key, and reports whether it is tether's. An empty one is none.
func (c *credentials) take(key []byte) bool {
	switch {
	case len(key) == 0:
	case c.key == nil:
		c.key = key
	case !bytes.Equal(c.key, key):
		c.two = true
	}
	return c.wanted
}

// authorize finds out whose key the request came with. Where no keys are configured nobody is asked for one; where
// they are, only a browser's preflight comes without: it cannot bring one, and has no body to hold.
func (x *exchange) authorize() *fault {
	sent := &x.in.keys
	switch {
	case !sent.wanted, x.endpoint == preflightEndpoint && x.in.preflight() && x.bodyRead:
		return nil
	case sent.key == nil:
		return errNoKey
	case sent.two:
		return errTwoKeys
	}
	name, ok := x.p.keys.Name(sent.key)
	if !ok {
		return errWrongKey
	}
	x.rec.Caller = name
	x.search.SetCaller(name)
	return nil
}
