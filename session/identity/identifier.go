package identity

// Identifier holds what the configuration says about session ids in requests. It never changes, and is safe for
// concurrent use.
type Identifier struct {
	keyer
	sources []Source
	headers map[string]int // by canonical header name: the source
	aliases []Alias
	byName  map[string]*Alias
	cookies bool // some source is a cookie
	fields  []field
	agents  []agent
	splits  bool // sub-agents have sessions of their own
	scope   scope
	names   nameFilter // of all headers above, and of cookies

	completions bool // prompts without messages have an opening
}

// NewIdentifier compiles a valid configuration. secret is the content of its secret file, empty without one.
func NewIdentifier(cfg *Config, models *Models, secret []byte) (*Identifier, error) {
	id := &Identifier{keyer: newKeyer(secret), headers: map[string]int{}, aliases: newAliases(models.Aliases), byName: map[string]*Alias{}, completions: cfg.CompletionsOpening}
	for n := range id.aliases {
		id.byName[id.aliases[n].Name] = &id.aliases[n]
	}
	var err error
	if id.scope, err = parseScope(cfg.Scope); err != nil {
		return nil, err
	}
	for n, s := range cfg.Sources {
		source, err := parseSource(s)
		if err != nil {
			return nil, err
		}
		id.sources = append(id.sources, source)
		switch source.Kind {
		case FromHeader:
			id.headers[source.Name] = n
		case FromCookie:
			id.cookies = true
		case FromBody:
			id.fields = append(id.fields, fieldsOf(n, source)...)
		}
	}
	id.agents, id.splits = agentsOf(id.sources), cfg.Subagents == Own
	id.names = id.allNames()
	return id, nil
}

// allNames are the names of the headers that a Search looks at.
func (id *Identifier) allNames() (f nameFilter) {
	for name := range id.headers {
		f.add(name)
	}
	for _, a := range id.agents {
		f.add(a.header)
	}
	for _, name := range id.scope.headers {
		f.add(name)
	}
	if id.cookies {
		f.add("cookie")
	}
	return f
}

// Key returns the key of a session under a model. sessionID is the id as a client would send it in a header.
func (id *Identifier) Key(model, sessionID []byte) Key { return id.key(model, sessionID) }

// Hashed returns the form that an id from a cookie or a body field has in pins and in X-Session-Id.
func (id *Identifier) Hashed(sessionID []byte) []byte {
	text, _ := id.digest(sessionID).MarshalText() // never fails
	return text
}
