package identity

// Identifier holds what the configuration says about session ids in requests. It never changes, and is safe for
// concurrent use.
type Identifier struct {
	keyer
	sources []Source
	aliases []Alias
	byName  map[string]*Alias
	cookies bool // some source is a cookie
	fields  []field
	members nameFilter // of the first names of the fields
	agents  []agent
	splits  bool // sub-agents have sessions of their own
	scope   scope
	headers nameFilter // of the sources
	names   nameFilter // of these, of agents and scope, and of cookies

	completions bool // prompts without messages have an opening
}

// NewIdentifier compiles a valid configuration. secret is the content of its secret file, empty without one.
func NewIdentifier(cfg *Config, models *Models, secret []byte) (*Identifier, error) {
	id := &Identifier{keyer: newKeyer(secret), aliases: newAliases(models.Aliases), byName: map[string]*Alias{}, completions: cfg.CompletionsOpening}
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
		case FromCookie:
			id.cookies = true
		case FromBody:
			id.fields = append(id.fields, fieldsOf(n, source)...)
			id.members.add(id.fields[len(id.fields)-1].path[0])
		case FromHeader:
			id.headers.add(source.Name)
		}
	}
	id.agents, id.splits = agentsOf(id.sources), cfg.Subagents == Own
	id.names = id.allNames()
	return id, nil
}

// allNames are the names of the headers that a Search looks at.
func (id *Identifier) allNames() nameFilter {
	f := id.headers
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

// sourceOf returns the source that a header is, by its folded name, -1 for none.
func (id *Identifier) sourceOf(header []byte) int {
	if id.headers.mayHave(header) {
		for n := range id.sources {
			if source := &id.sources[n]; source.Kind == FromHeader && source.Name == string(header) {
				return n
			}
		}
	}
	return -1
}

// Key returns the key of a session under a model. sessionID is the id as a client would send it in a header.
func (id *Identifier) Key(model, sessionID []byte) Key { return id.key(model, sessionID) }

// Hashed returns the form that an id from a cookie or a body field has in pins and in X-Session-Id.
func (id *Identifier) Hashed(sessionID []byte) []byte {
	text, _ := id.digest(sessionID).MarshalText() // never fails
	return text
}
