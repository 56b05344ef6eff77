package proxy

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tether/http1"
)

// cors says which pages of other origins may read answers in a browser (Fetch standard, 3.2). It is for tether's own answers, and
// for those of servers that say nothing about it. What a server says stays as it is. A nil cors says nothing.
type cors struct {
	any     bool
	origins []string
}

// newCORS makes the policy of a valid list, nil for an empty one.
func newCORS(origins []string) *cors {
	if len(origins) == 0 {
		return nil
	}
	return &cors{any: slices.Contains(origins, "*"), origins: origins}
}

func (c *cors) allows(origin []byte) bool {
	return len(origin) > 0 && (c.any || slices.Contains(c.origins, string(origin)))
}

// exposedFields are the fields of answers that a page may read, beside those that browsers always show.
const exposedFields = "Access-Control-Expose-Headers: X-Session-Id, X-Tether-Affinity\r\n"

// append appends the fields of an answer to a request of origin, nil without one. Origins that the operator lists may send cookies too;
// Starlette, vLLM's framework, has a switch for that.
func (c *cors) append(dst, origin []byte) []byte {
	switch {
	case !c.allows(origin):
		return dst
	case c.any:
		dst = append(dst, "Access-Control-Allow-Origin: *\r\n"...)
	default:
		dst = appendField(dst, "Access-Control-Allow-Origin: ", nil, origin)
		dst = append(dst, "Access-Control-Allow-Credentials: true\r\n"...)
	}
	return append(dst, exposedFields...)
}

const (
	varyByOrigin = "Vary: Origin\r\n"

	// preflightFields are what Starlette answers to every preflight where it allows all methods.
	preflightFields = "Vary: Access-Control-Request-Method, Access-Control-Request-Headers\r\n" + // and Origin, as in all answers
		"Access-Control-Allow-Methods: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY\r\nAccess-Control-Max-Age: 600\r\n"
)

// appendPreflight appends the fields of the answer to a preflight that names the fields of the request to come. All of them are allowed.
func (c *cors) appendPreflight(dst, named []byte) []byte {
	dst = append(dst, preflightFields...)
	if len(named) > 0 {
		dst = appendField(dst, "Access-Control-Allow-Headers: ", nil, named)
	}
	return dst
}

// variesByOrigin reports whether the value of a Vary names Origin, or everything.
func variesByOrigin(vary []byte) bool {
	for len(vary) > 0 {
		var name []byte
		if name, vary = http1.NextToken(vary); http1.EqualFold(name, "origin") || string(name) == "*" {
			return true
		}
	}
	return false
}

// originIn gives the origin that a part of a head names. Without one it gives what the policy needs for its answer: nothing is needed
// where all origins are allowed.
func (c *cors) originIn(head []byte) []byte {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if name, value, is := bytes.Cut(line, []byte{':'}); is && http1.EqualFold(name, "origin") {
			return http1.Trim(value)
		}
	}
	if c.any {
		return []byte("*")
	}
	return nil
}

// checkOrigin explains what is wrong with an entry of cors_origins.
func checkOrigin(s string) error {
	if s == "*" {
		return nil
	}
	wrong := fmt.Errorf("%q, want * or an origin as browsers send it, SCHEME://HOST[:PORT]", s)
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || strings.ContainsFunc(u.Host, func(c rune) bool { return c > 126 || strings.ContainsRune("*%,;'\"", c) }) {
		return wrong
	}
	host := u.Host
	if u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	if sent := u.Scheme + "://" + strings.ToLower(strings.TrimSuffix(host, ":")); sent != s {
		return fmt.Errorf("%w: did you mean %q?", wrong, sent)
	}
	return nil
}

// checkOrigins reports what is wrong with cors_origins.
func checkOrigins(origins []string, report func(key, problem string)) {
	for i, s := range origins {
		if err := checkOrigin(s); err != nil {
			report(fmt.Sprintf("cors_origins[%d]", i), err.Error())
		} else if slices.Contains(origins[:i], s) {
			report(fmt.Sprintf("cors_origins[%d]", i), fmt.Sprintf("%q is there twice", s))
		}
	}
	if slices.Contains(origins, "*") && len(origins) > 1 {
		report("cors_origins", "* and others, want * alone or the others alone")
	}
}
