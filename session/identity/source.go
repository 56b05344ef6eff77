package identity

import (
	"errors"
	"fmt"
	"strings"

	"tether/http1"
)

// Source is one place to look for a session id.
type Source struct {
	Kind SourceKind
	// Name is the header (lower case, "-" for "_"), the cookie, or the body's field ("a.b" is b inside a).
	Name string
}

// SourceKind is the kind of a Source.
type SourceKind uint8

const (
	// FromHeader is a request header.
	FromHeader SourceKind = iota + 1
	// FromCookie is a cookie.
	FromCookie
	// FromBody is a field of a JSON body.
	FromBody
	// FromOpening is the id derived of how the conversation opens.
	FromOpening
)

// maxSources bounds a list of sources, maxField a body field's depth.
const (
	maxSources = 32
	maxField   = 4
)

// DefaultSources is the list for everyday clients: tether's own header, the headers that agents and gateways send,
// the body fields that name a conversation, and for all others how the conversation opens. Request and trace ids
// are not on it: they name a request.
func DefaultSources() []string {
	return []string{
		"header:X-Session-Id", "header:X-Session-Affinity", "header:X-Claude-Code-Session-Id", "header:Session-Id",
		"header:Thread-Id", "header:X-Dynamo-Session-ID", "header:X-LiteLLM-Session-Id", "header:X-OpenWebUI-Chat-Id",
		"header:X-Conversation-Id", "header:X-Grok-Conv-Id", "header:X-SMG-Routing-Key",
		"body:session_id", "body:prompt_cache_key", "body:conversation", "body:conversation_id", "body:metadata.user_id",
		"opening",
	}
}

// ParseSource reads header:NAME, cookie:NAME, body:FIELD or opening.
func ParseSource(s string) (Source, error) {
	if s == "opening" {
		return Source{Kind: FromOpening}, nil
	}
	kind, name, _ := strings.Cut(s, ":")
	if name == "" {
		return Source{}, fmt.Errorf("%q, want header:NAME, cookie:NAME, body:FIELD or opening", s)
	}
	switch kind {
	case "header":
		name, err := headerName(name)
		switch name {
		case "authorization", "proxy-authorization", "x-api-key", "cookie", "x-request-id", "traceparent":
			err = errors.New("header " + name + " names a caller or a request, not a conversation")
		}
		return Source{Kind: FromHeader, Name: name}, err
	case "cookie":
		if !http1.IsToken(name) {
			return Source{}, fmt.Errorf("%q is no name of a cookie", name)
		}
		return Source{Kind: FromCookie, Name: name}, nil
	case "body":
		parts := strings.Split(name, ".")
		if len(parts) > maxField {
			return Source{}, fmt.Errorf("%q leads %d objects deep, want at most %d", s, len(parts), maxField)
		}
		for _, p := range parts {
			if p == "" {
				return Source{}, fmt.Errorf("%q has an empty part", s)
			}
		}
		switch parts[0] {
		case "model", "previous_response_id", "background", "messages", "system", "input", "instructions":
			return Source{}, fmt.Errorf("%q names no conversation", s)
		}
		return Source{Kind: FromBody, Name: name}, nil
	}
	return Source{}, fmt.Errorf("%q, want header:NAME, cookie:NAME, body:FIELD or opening", s)
}

// headerName brings a configured name into the form that names of requests are compared in.
func headerName(name string) (string, error) {
	folded := http1.FoldName(make([]byte, maxHeaderName), []byte(name))
	if folded == nil {
		return "", fmt.Errorf("header %.80q is longer than %d bytes", name, maxHeaderName)
	}
	if !http1.IsToken(name) {
		return "", fmt.Errorf("%q is no name of a header", name)
	}
	return string(folded), nil
}

// maxHeaderName is the length of the longest header name that can be a source.
const maxHeaderName = 64

// String is the source as it stands in the configuration.
func (s Source) String() string {
	switch s.Kind {
	case FromHeader:
		return "header:" + s.Name
	case FromCookie:
		return "cookie:" + s.Name
	case FromBody:
		return "body:" + s.Name
	case FromOpening:
		return "opening"
	}
	return ""
}
