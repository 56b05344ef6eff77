package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tether/discovery"
	"tether/ring"
	"tether/session/identity"
	"tether/tlsfiles"
	"tether/upstream"
	"tether/upstream/transport"
)

func (l *loader) upstreams() {
	c := l.cfg
	if len(c.Upstreams) == 0 && len(c.Discovery) == 0 {
		file := cmp.Or(l.source, "the file given with -c")
		l.problem("upstreams", "none, want at least one: --upstream http://HOST:PORT, TETHER_UPSTREAMS, or upstreams: in "+file)
	}
	if len(c.Upstreams) > upstream.MaxUpstreams {
		l.problem("upstreams", fmt.Sprintf("%d, want at most %d", len(c.Upstreams), upstream.MaxUpstreams))
	}
	names := map[string]int{}
	slots := map[int]int{}
	addresses := map[transport.Address]int{}
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		report := l.ofUpstream(i)
		u.validateOptions(report)
		if problem := problemOfURL(u.URL); problem != "" {
			report("url", problem)
			continue
		}
		u.validateTLS(report)
		name := u.server().Spec.Name
		if !validName.MatchString(name) {
			report("name", fmt.Sprintf("%q, want 1..128 letters, digits and .:_-@/[]", name))
		}
		if first, twice := names[name]; twice {
			report("name", fmt.Sprintf("%q is the name of upstreams[%d] already: one entry for each server, or give them names", name, first))
		} else {
			warnOfAddress(l, i, addresses)
		}
		names[name] = i
		u.validateWeight(report)
		l.slot(i, slots)
		u.validateModels(report)
	}
	for i, slot := range discovery.Slots(c.servers()) {
		l.ranks(i, slot, names)
	}
}

// ofUpstream returns the function that reports a problem of the upstream with that index.
func (l *loader) ofUpstream(i int) func(key, problem string) {
	return func(key, problem string) { l.problem(fmt.Sprintf("upstreams[%d].%s", i, key), problem) }
}

// warnOfAddress warns of an upstream at the address of an earlier one. Both count, and share one server and its cache.
func warnOfAddress(l *loader, i int, addresses map[transport.Address]int) {
	address := l.cfg.Upstreams[i].server().Spec.Address
	path := fmt.Sprintf("upstreams[%d].url", i)
	if first, twice := addresses[address]; twice {
		text := fmt.Sprintf("%s: the address of upstreams[%d] already: both upstreams are one server, with one cache", path, first)
		l.warnings = append(l.warnings, problem{l.places[path], text})
		return
	}
	addresses[address] = i
}

func (u *Upstream) validateWeight(report func(key, problem string)) {
	if u.Weight != nil && (*u.Weight < 0 || *u.Weight > ring.FullWeight) {
		report("weight", fmt.Sprintf("%d, want 0..%d", *u.Weight, ring.FullWeight))
	}
}

func (u *Upstream) validateModels(report func(key, problem string)) {
	for i, model := range u.Models {
		key := fmt.Sprintf("models[%d]", i)
		if problem := identity.ProblemOfModel(model); problem != "" {
			report(key, problem)
		} else if slices.Contains(u.Models[:i], model) {
			report(key, fmt.Sprintf("%q is there twice", model))
		}
	}
}

// modelNames checks the names below models, as far as the configuration names models: each alias stands for a model and is not the name
// of a model, and each rate is that of a model.
func (l *loader) modelNames() {
	models, complete := l.servedModels()
	aliases := l.cfg.Models.Identity.Aliases
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		model := aliases[alias]
		switch {
		case models[alias]:
			l.problem("models.aliases."+alias, "is a model of an upstream, want another name")
		case complete && !models[model]:
			l.problem("models.aliases."+alias, fmt.Sprintf("%q is no upstream's model%s", model, didYouMean(model, keysOf(models))))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.cfg.Models.Prefill.PrefillRate)) {
		switch model, isAlias := aliases[name]; {
		case isAlias:
			l.problem("models.prefill_rate."+name, fmt.Sprintf("is an alias, want its model %q", model))
		case complete && !models[name]:
			l.problem("models.prefill_rate."+name, "is no upstream's model"+didYouMean(name, keysOf(models)))
		}
	}
}

// servedModels returns the models that the configuration assigns to upstreams. complete is true if it assigns models to every upstream.
func (l *loader) servedModels() (models map[string]bool, complete bool) {
	models, complete = map[string]bool{}, len(l.cfg.Upstreams) > 0 && len(l.cfg.Discovery) == 0
	for _, u := range l.cfg.Upstreams {
		complete = complete && len(u.Models) > 0
		for _, model := range u.Models {
			models[model] = true
		}
	}
	return models, complete
}

// maxInFlight is the greatest limit of one server, as that of the whole proxy.
const maxInFlight = 1_000_000

// validateOptions checks the keys about requests to the upstream, and reads the file of its API key.
func (u *Upstream) validateOptions(report func(key, problem string)) {
	if u.HostHeader != "" && u.HostHeader != hostOfUpstream && u.HostHeader != hostOfClient {
		report("host_header", fmt.Sprintf("%q, want %s or %s", u.HostHeader, hostOfUpstream, hostOfClient))
	}
	if u.MaxInFlight < 0 || u.MaxInFlight > maxInFlight {
		report("max_in_flight", fmt.Sprintf("%d, want 0..%d", u.MaxInFlight, maxInFlight))
	}
	var err error
	if u.APIKey, err = readKey(u.APIKeyFile); err != nil {
		report("api_key_file", err.Error())
	}
	if u.APIKeyOverride && u.APIKeyFile == "" {
		report("api_key_override", "true, and there is no key to send: want api_key_file as well")
	}
}

func (u *Upstream) validateTLS(report func(key, problem string)) {
	if u.TLS != (tlsfiles.Upstream{}) && !strings.HasPrefix(u.URL, "https://") {
		report("tls", fmt.Sprintf("for %q, want an https URL with it", u.URL))
	}
	u.TLS.Validate(func(key, problem string) { report("tls."+key, problem) })
}

func (l *loader) slot(i int, slots map[int]int) {
	u, report := &l.cfg.Upstreams[i], l.ofUpstream(i)
	if (u.Slot == nil) != (l.cfg.Upstreams[0].Slot == nil) {
		report("slot", "either all upstreams have a slot or none")
	}
	if u.Slot == nil {
		return
	}
	if *u.Slot < 0 || *u.Slot >= ring.MaxSlots {
		report("slot", fmt.Sprintf("%d, want 0..%d", *u.Slot, ring.MaxSlots-1))
	}
	if first, twice := slots[*u.Slot]; twice {
		report("slot", fmt.Sprintf("%d is the slot of upstreams[%d] already", *u.Slot, first))
	}
	slots[*u.Slot] = i
}

// ranks checks the data-parallel ranks of an upstream: their names and slots must be unique.
func (l *loader) ranks(i, slot int, names map[string]int) {
	u, all, report := &l.cfg.Upstreams[i], l.cfg.Upstreams, l.ofUpstream(i)
	const key = "data_parallel_ranks"
	n, first := u.DataParallelRanks, all[0].DataParallelRanks
	switch {
	case n < 0 || n > ring.MaxSlots:
		report(key, fmt.Sprintf("%d, want 0..%d", n, ring.MaxSlots))
	case n != first:
		report(key, fmt.Sprintf("%d, and upstreams[0] has %d: want the same number for all", n, first))
	case n > 0 && slot < ring.MaxSlots && (slot+1)*n > ring.MaxSlots:
		report(key, fmt.Sprintf("%d at slot %d make the slots %d..%d, want at most %d", n, slot, slot*n, slot*n+n-1, ring.MaxSlots-1))
	}
	name := u.server().Spec.Name
	if of, rank, is := rankName(name); is {
		if j, has := names[of]; has && rank < all[j].DataParallelRanks {
			report("name", fmt.Sprintf("%q is the name of a rank of upstreams[%d]", name, j))
		}
	}
}

// rankName splits NAME@RANK, if s has that form.
func rankName(s string) (name string, rank int, is bool) {
	at := max(0, strings.LastIndexByte(s, '@'))
	rank, err := strconv.Atoi(strings.TrimPrefix(s[at:], "@"))
	return s[:at], rank, err == nil && "@"+strconv.Itoa(rank) == s[at:]
}

var validName = regexp.MustCompile(`^[A-Za-z0-9.:_@/\[\]-]{1,128}$`)

// problemOfURL returns what is wrong with the URL of an upstream, "" for nothing. It never shows a user and password:
// an error of parsing might, since it quotes pieces of the URL.
func problemOfURL(raw string) string {
	_, err := transport.ParseURL(raw)
	parsed, bad := url.Parse(raw)
	at := strings.LastIndexByte(raw, '@')
	switch {
	case err == nil && bad == nil && parsed.User == nil:
		return ""
	case at < 0:
		return fmt.Sprintf("%q: %v", raw, err)
	}
	scheme := ""
	for _, known := range []string{"http://", "https://", "http+unix://"} {
		if strings.HasPrefix(raw, known) {
			scheme = known
		}
	}
	return fmt.Sprintf("%q: want http://HOST:PORT or https://HOST:PORT without a user and password", scheme+"***"+raw[at:])
}
