package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"tether/accesslog"
	"tether/auth"
	"tether/discovery"
	"tether/ring"
	"tether/session/identity"
	"tether/tlsfiles"
	"tether/upstream"
)

// validate checks what loaded, all of it.
func (l *loader) validate(memory int64) {
	c := l.cfg
	below := func(parent string) func(key, problem string) {
		return func(key, problem string) { l.problem(join(parent, key), problem) }
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		l.problem("listen", fmt.Sprintf("%q, want HOST:PORT or :PORT", c.Listen))
	}
	l.port("listen", c.Listen)
	c.TLS.Validate(below("tls"))
	c.Admin.Validate(below("admin"))
	l.port("admin.listen", c.Admin.Listen)
	if c.Listen == c.Admin.Listen && !strings.HasSuffix(c.Listen, ":0") {
		l.problem("admin.listen", fmt.Sprintf("%q is where clients are served, want another", c.Admin.Listen))
	}
	l.readable("admin.token_file", c.Admin.TokenFile)
	l.keys()
	l.upstreams()
	c.Models.Validate(below("models"))
	l.modelAliases()
	c.Session.Validate(below("session"))
	l.readable("session.secret_file", c.Session.Identity.SecretFile)
	c.Health.Validate(below("health"))
	c.Proxy.Validate(memory, below("proxy"))
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		l.problem("log.level", fmt.Sprintf("%q, want debug, info, warn or error", c.Log.Level))
	}
	if _, ok := accesslog.ParseMode(c.Log.Access); !ok {
		l.problem("log.access", fmt.Sprintf("%q, want all, errors, off or 1/N", c.Log.Access))
	}
	if c.Log.Format != "json" && c.Log.Format != "console" {
		l.problem("log.format", fmt.Sprintf("%q, want json or console", c.Log.Format))
	}
}

// problem adds a problem with the value at path, at the place where that was set, or at its parent's. A value that
// could not be read has one already.
func (l *loader) problem(path, text string) {
	for at := path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if l.broken[at] {
			return
		}
		if place, ok := l.places[at]; ok {
			l.problems.add(place, path+": "+text)
			return
		}
	}
	l.problems.add(place{}, path+": "+text)
}

// port wants a number behind the colon: a listener would look up a word.
func (l *loader) port(path, address string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return // it has a problem already
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		l.problem(path, fmt.Sprintf("%q has the port %q, want 0..65535", address, port))
	}
}

func (l *loader) readable(path, file string) {
	if _, err := ReadSecret(file); err != nil {
		l.problem(path, err.Error())
	}
}

// keys checks the file of API keys. Their names are the scope of derived ids then.
func (l *loader) keys() {
	c := l.cfg
	if c.Auth.KeysFile == "" {
		return
	}
	if _, err := auth.Open(c.Auth.KeysFile); err != nil {
		l.problem("auth.keys_file", err.Error())
	}
	if c.Session.Identity.Scope != identity.Default().Scope {
		l.problem("session.scope", fmt.Sprintf("%q, and auth.keys_file names the callers: leave the key out", c.Session.Identity.Scope))
	}
}

func (l *loader) upstreams() {
	c := l.cfg
	if len(c.Upstreams) == 0 {
		file := cmp.Or(l.source, "the file given with -c")
		l.problem("upstreams", "none, want at least one: --upstream http://HOST:PORT, TETHER_UPSTREAMS, or upstreams: in "+file)
	}
	if len(c.Upstreams) > upstream.MaxUpstreams {
		l.problem("upstreams", fmt.Sprintf("%d, want at most %d", len(c.Upstreams), upstream.MaxUpstreams))
	}
	names := map[string]int{}
	slots := map[int]int{}
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		at := func(key string) string { return fmt.Sprintf("upstreams[%d].%s", i, key) }
		l.manners(u, at)
		if problem := problemOfURL(u.URL); problem != "" {
			l.problem(at("url"), problem)
			continue
		}
		l.tls(i)
		name := u.server().Spec.Name
		if !validName(name) {
			l.problem(at("name"), fmt.Sprintf("%q, want 1..%d letters, digits and %s", name, maxName, nameSigns))
		}
		if first, twice := names[name]; twice {
			l.problem(at("name"), fmt.Sprintf("%q is the name of upstreams[%d] already: one entry a server, or give them names", name, first))
		}
		names[name] = i
		if u.Weight != nil && (*u.Weight < 0 || *u.Weight > ring.FullWeight) {
			l.problem(at("weight"), fmt.Sprintf("%d, want 0..%d", *u.Weight, ring.FullWeight))
		}
		l.slot(i, slots)
		l.models(i)
	}
	for i, slot := range discovery.Slots(c.servers()) {
		l.ranks(i, slot, names)
	}
}

func (l *loader) models(i int) {
	seen := map[string]bool{}
	for n, model := range l.cfg.Upstreams[i].Models {
		path := fmt.Sprintf("upstreams[%d].models[%d]", i, n)
		if problem := identity.ProblemOfModel(model); problem != "" {
			l.problem(path, problem)
		} else if seen[model] {
			l.problem(path, fmt.Sprintf("%q is there twice", model))
		}
		seen[model] = true
	}
}

// modelAliases checks, as far as the configuration knows the models, that each has one behind it and is none itself.
func (l *loader) modelAliases() {
	models := map[string]bool{}
	all := len(l.cfg.Upstreams) > 0 // that there are
	for _, u := range l.cfg.Upstreams {
		all = all && len(u.Models) > 0
		for _, model := range u.Models {
			models[model] = true
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(l.cfg.Models.Aliases)) {
		model := l.cfg.Models.Aliases[alias]
		switch {
		case models[alias]:
			l.problem("models.aliases."+alias, "is a model of an upstream, want another name")
		case all && !models[model]:
			l.problem("models.aliases."+alias, fmt.Sprintf("%q is no upstream's model%s", model, didYouMean(model, keysOf(models))))
		}
	}
}

// manners checks how an upstream wants to be asked, and reads its key.
func (l *loader) manners(u *Upstream, at func(key string) string) {
	if u.HostHeader != "" && u.HostHeader != hostOfUpstream && u.HostHeader != hostOfClient {
		l.problem(at("host_header"), fmt.Sprintf("%q, want %s or %s", u.HostHeader, hostOfUpstream, hostOfClient))
	}
	var err error
	if u.APIKey, err = readKey(u.APIKeyFile); err != nil {
		l.problem(at("api_key_file"), err.Error())
	}
	if u.APIKeyOverride && u.APIKeyFile == "" {
		l.problem(at("api_key_override"), "true, and there is no key to send: want api_key_file as well")
	}
}

func (l *loader) tls(i int) {
	u := &l.cfg.Upstreams[i]
	path := fmt.Sprintf("upstreams[%d].tls", i)
	if u.TLS != (tlsfiles.Upstream{}) && !strings.HasPrefix(u.URL, "https://") {
		l.problem(path, fmt.Sprintf("for %q, want an https URL with it", u.URL))
	}
	u.TLS.Validate(func(key, problem string) { l.problem(path+"."+key, problem) })
}

func (l *loader) slot(i int, slots map[int]int) {
	u := &l.cfg.Upstreams[i]
	path := fmt.Sprintf("upstreams[%d].slot", i)
	if (u.Slot == nil) != (l.cfg.Upstreams[0].Slot == nil) {
		l.problem(path, "either all upstreams have a slot or none")
	}
	if u.Slot == nil {
		return
	}
	if *u.Slot < 0 || *u.Slot >= ring.MaxSlots {
		l.problem(path, fmt.Sprintf("%d, want 0..%d", *u.Slot, ring.MaxSlots-1))
	}
	if first, twice := slots[*u.Slot]; twice {
		l.problem(path, fmt.Sprintf("%d is the slot of upstreams[%d] already", *u.Slot, first))
	}
	slots[*u.Slot] = i
}

// ranks checks the data-parallel ranks of an upstream: the names and slots that they make are theirs alone.
func (l *loader) ranks(i, slot int, names map[string]int) {
	u, all := &l.cfg.Upstreams[i], l.cfg.Upstreams
	path := fmt.Sprintf("upstreams[%d].data_parallel_ranks", i)
	n, first := u.DataParallelRanks, all[0].DataParallelRanks
	switch {
	case n < 0 || n > ring.MaxSlots:
		l.problem(path, fmt.Sprintf("%d, want 0..%d", n, ring.MaxSlots))
	case n != first:
		l.problem(path, fmt.Sprintf("%d, and upstreams[0] has %d: want the same number for all", n, first))
	case n > 0 && slot < ring.MaxSlots && (slot+1)*n > ring.MaxSlots:
		l.problem(path, fmt.Sprintf("%d at slot %d make the slots %d..%d, want at most %d", n, slot, slot*n, slot*n+n-1, ring.MaxSlots-1))
	}
	name := u.server().Spec.Name
	if of, rank, is := rankName(name); is {
		if j, has := names[of]; has && rank < all[j].DataParallelRanks {
			l.problem(fmt.Sprintf("upstreams[%d].name", i), fmt.Sprintf("%q is the name of a rank of upstreams[%d]", name, j))
		}
	}
}

// rankName takes NAME@RANK apart, if that is what it is.
func rankName(s string) (name string, rank int, is bool) {
	at := max(0, strings.LastIndexByte(s, '@'))
	rank, err := strconv.Atoi(strings.TrimPrefix(s[at:], "@"))
	return s[:at], rank, err == nil && "@"+strconv.Itoa(rank) == s[at:]
}

const (
	maxName   = 128
	nameSigns = ".:_-@/[]"
)

func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(nameSigns, c) {
			return false
		}
	}
	return true
}
