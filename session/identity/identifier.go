package identity

import "strings"

// Identifier knows where session ids stand in requests. It is immutable and shared.
type Identifier struct {
	keyer
	sources []Source
	headers map[string]int // source by canonical header name
	aliases map[string]alias
	sorted  []Alias
	cookies bool // some source is a cookie
	fields  []field
	agents  []agent
	scope   scope
}

// field is a place in a JSON body where a source may stand.
type field struct {
	source int
	path   []string
}

// NewIdentifier compiles a valid configuration. secret is the content of its secret file, empty for none.
func NewIdentifier(cfg *Config, models *Models, secret []byte) (*Identifier, error) {
	id := &Identifier{keyer: newKeyer(secret), headers: map[string]int{}, aliases: newAliases(models.Aliases), sorted: sortedAliases(models.Aliases)}
	var err error
	if id.scope, err = parseScope(cfg.Scope); err != nil {
		return nil, err
	}
	for i, s := range cfg.Sources {
		source, err := ParseSource(s)
		if err != nil {
			return nil, err
		}
		id.sources = append(id.sources, source)
		switch source.Kind {
		case FromHeader:
			id.headers[source.Name] = i
		case FromCookie:
			id.cookies = true
		case FromBody:
			id.fields = append(id.fields, field{source: i, path: strings.Split(source.Name, ".")})
			if source.Name == "conversation" { // of the Responses API: a string, or an object
				id.fields = append(id.fields, field{source: i, path: []string{"conversation", "id"}})
			}
		}
	}
	if cfg.Subagents == Own {
		id.agents = agentsOf(id.sources)
	}
	return id, nil
}

// Key is the pin key of an id, as a client would send it in a header, under a model.
func (id *Identifier) Key(model, sessionID []byte) Key { return id.key(model, sessionID) }

// Hashed is the form that an id from a cookie or a body field has in pins and in X-Session-Id.
func (id *Identifier) Hashed(sessionID []byte) []byte {
	text, _ := id.digest(sessionID).MarshalText() // never fails
	return text
}

// fieldSet is a set of an Identifier's fields, a bit each.
type fieldSet uint64

const every = ^fieldSet(0)

// naming gives those of the fields whose path has the name at depth.
func (id *Identifier) naming(name []byte, of fieldSet, depth int) (at fieldSet) {
	for n, f := range id.fields {
		if of&(1<<n) != 0 && depth < len(f.path) && f.path[depth] == string(name) {
			at |= 1 << n
		}
	}
	return at
}
