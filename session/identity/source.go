package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tether/http1"
)

// Source is one place to look for a session id.
type Source struct {
	Kind SourceKind
	// Name is the name of the header (lower case, "-" for "_"), of the cookie, or of the body's field (a.b is b in a).
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
	// FromOpening is the id that is derived from the opening of the conversation.
	FromOpening
)

// String returns the kind as the configuration has it.
func (k SourceKind) String() string {
	return [...]string{"", "header", "cookie", "body", "opening"}[k]
}

// KindSet is a set of kinds, a bit each.
type KindSet uint8

// Has reports whether k is in the set.
func (s KindSet) Has(k SourceKind) bool { return s&(1<<k) != 0 }

const (
	maxSources = 32 // in a list
	maxDepth   = 4  // objects that lead to a body field
)

// defaultSources returns the sources for common clients: tether's own header, the headers of agents and gateways, the body
// fields that name a conversation, and last the opening of the conversation. The places where vLLM itself looks are among
// them: X-Session-Id, session_id and vllm_xargs.session_id. Ids of requests and traces are no sources: they name a request.
func defaultSources() []string {
	return []string{
		"header:X-Session-Id", "header:X-Session-Affinity", "header:X-Claude-Code-Session-Id", "header:Session-Id",
		"header:Thread-Id", "header:X-Dynamo-Session-ID", "header:X-LiteLLM-Session-Id", "header:X-OpenWebUI-Chat-Id",
		"header:X-Conversation-Id", "header:X-Grok-Conv-Id", "header:X-SMG-Routing-Key",
		"body:session_id", "body:vllm_xargs.session_id", "body:metadata.session_id",
		"body:prompt_cache_key", "body:conversation", "body:conversation_id", "body:metadata.user_id",
		"opening",
	}
}

// parseSource parses header:NAME, cookie:NAME, body:FIELD or opening.
func parseSource(s string) (Source, error) {
	if s == "opening" {
		return Source{Kind: FromOpening}, nil
	}
	switch kind, name, _ := strings.Cut(s, ":"); {
	case name == "":
	case kind == "header":
		folded, err := headerName(name)
		switch folded {
		case "authorization", "proxy-authorization", "x-api-key", "cookie", "x-request-id", "traceparent":
			err = errors.New("header " + folded + " names a caller or a request, not a conversation")
		}
		return Source{Kind: FromHeader, Name: folded}, err
	case kind == "cookie":
		if !http1.IsToken(name) {
			return Source{}, fmt.Errorf("%q is no name of a cookie", name)
		}
		return Source{Kind: FromCookie, Name: name}, nil
	case kind == "body":
		return Source{Kind: FromBody, Name: name}, checkField(s, strings.Split(name, "."))
	}
	return Source{}, fmt.Errorf("%q, want header:NAME, cookie:NAME, body:FIELD or opening", s)
}

// checkField checks the path of a source's body field.
func checkField(source string, path []string) error {
	if len(path) > maxDepth {
		return fmt.Errorf("%q leads %d objects deep, want at most %d", source, len(path), maxDepth)
	}
	if slices.Contains(path, "") {
		return fmt.Errorf("%q has an empty part", source)
	}
	switch path[0] {
	case "model", "previous_response_id", "background", "messages", "system", "input", "instructions":
		return fmt.Errorf("%q names no conversation", source)
	}
	return nil
}

// headerName returns a configured name in the form of http1.FoldName, in which the names in requests are compared.
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

// maxHeaderName is the length of the longest header name that can be a source, in bytes.
const maxHeaderName = 64

// String returns the source as the configuration has it, "" for the zero Source.
func (s Source) String() string {
	if s.Name == "" {
		return s.Kind.String()
	}
	return s.Kind.String() + ":" + s.Name
}
