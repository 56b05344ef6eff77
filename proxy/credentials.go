package proxy

import (
	"bytes"
	"time"

	"tether/auth"
	"tether/http1"
)

// credentials are the API keys in a request's head, where tether asks for one. They are for tether: no server gets them.
type credentials struct {
	wanted bool
	key    []byte
	two    bool // there are different keys, so that the caller is unknown
}

// takeAuthorization takes in an Authorization, and reports whether it is tether's. One of another scheme than Bearer
// names no key, and is not forwarded either.
func (c *credentials) takeAuthorization(value []byte) bool {
	key, bears := http1.CutPrefixFold(value, "bearer ")
	if !bears {
		return c.wanted
	}
	return c.take(http1.Trim(key))
}

// take takes in a key, and reports whether it is tether's. An empty key counts as absent.
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

// authorize finds out whose key the request has. Without configured keys no request needs one. With them, two kinds of requests do
// without: a browser's preflight, which cannot have a key and has no body, and a load balancer's question whether tether is ready.
func (c *caller) authorize(r *request, keys *auth.Keys) *fault {
	sent := &r.in.keys
	switch {
	case !sent.wanted, r.is(healthAPI), r.endpoint == preflightEndpoint && r.isPreflight():
		return nil
	case sent.key == nil:
		return faultNoKey
	case sent.two:
		return faultTwoKeys
	}
	if c.owner = keys.Find(sent.key); c.owner == nil {
		return faultWrongKey
	}
	c.search.SetCaller(c.owner.Name())
	return nil
}

// refusal is the fault of a request that would pass a limit of its API key, nil if it would not.
func (c *caller) refusal(now time.Time) *fault {
	if c.owner == nil {
		return nil
	}
	if c.owner.AtLimit() {
		return faultKeyInFlight
	}
	if c.wait = c.owner.Wait(now); c.wait > 0 {
		return faultKeyRate
	}
	return nil
}

// enter counts the request for its API key until leave, or returns the fault of a request that would pass a limit of the key.
func (c *caller) enter(now time.Time) *fault {
	if c.owner == nil {
		return nil
	}
	if !c.owner.TakePlace() {
		return faultKeyInFlight
	}
	if c.wait = c.owner.TakeToken(now); c.wait > 0 {
		c.owner.LeavePlace()
		return faultKeyRate
	}
	c.entered = true
	return nil
}

// leave takes back what enter counted.
func (c *caller) leave() {
	if c.entered {
		c.owner.LeavePlace()
		c.entered = false
	}
}
